"""What a data set is made of: one YAML file that names the tasks, their files and their settings.

Building a config touches no disk; `tasks.build` reads the files.
"""

from typing import Annotated, Literal

from pydantic import Field

from activation_oracles.tasks.settings import Settings

Names = tuple[str, ...]


class TaskConfig(Settings):
    """What every task has."""

    weight: float | None = Field(default=None, gt=0)
    """Share in the mixture. Give it for all tasks or for none; without, all examples are taken."""
    layers: Literal["each", "one", "together"] = "each"
    """An example for each layer, for one drawn layer, or one example with all layers."""
    max_tokens: int = Field(default=512, ge=8)
    """Longest text that is read. Plain texts are cut to it, labelled ones and chats left out."""


class ContextConfig(TaskConfig):
    """Context prediction from any texts or chats."""

    kind: Literal["context_prediction"]
    name: str = "context_prediction"
    """Written into each example's `task`."""
    files: Names = Field(min_length=1)
    """Texts or chats: .txt, or .jsonl with `text` or `messages`."""
    unit: Literal["blocks", "lines"] = "blocks"
    """In .txt files, whether a blank line or every line's end ends a text."""
    widths: tuple[int, ...] = Field(default=(1, 50), min_length=1)
    """One pass over the texts for each: windows of 1 to so many tokens are shown."""
    max_wanted: int = Field(default=50, ge=1)
    """At most so many tokens are asked for. Lower it where texts are short."""


class WindowConfig(Settings):
    """One pass over a table's rows."""

    width: int = Field(ge=1)
    """Windows of 1 to so many tokens are shown."""
    questions: int = Field(default=1, ge=1)
    """Questions each row gets."""


class ClassificationConfig(TaskConfig):
    """Yes/no and open questions from a labelled table."""

    kind: Literal["classification"]
    name: str
    """Written into each example's `task`, as `classification/sst2`."""
    files: Names = Field(min_length=1)
    """Tables: .csv, .tsv, .json, .jsonl; any other ending: lines of a label, a space, a text."""
    text: str = "text"
    """The text's column: its name, or without header its number from 0."""
    label: str = "label"
    """The label's column."""
    header: bool = True
    """Whether a .csv or .tsv begins with the columns' names."""
    encoding: str = "utf-8"
    """Of the files' characters, as `latin-1`."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What labels are called in questions and answers, as `"0": negative`. Others are left out
    when any is given."""
    questions: Names | dict[str, Names] = ()
    """Yes/no questions: with `{}` where the label goes, or for each label its own."""
    questions_file: str | None = None
    """The same as a JSON file; after a `#`, the key to take, as `question.json#sst2`."""
    open_questions: Names = ()
    """Questions whose answer is the label itself."""
    windows: tuple[WindowConfig, ...] = Field(
        default=(WindowConfig(width=1, questions=2), WindowConfig(width=50)), min_length=1
    )
    """Passes over the rows."""
    max_rows: int | None = Field(default=None, ge=2)
    """Take so many rows of the files, drawn by the seed."""


class SystemPromptConfig(TaskConfig):
    """Questions about a system prompt or another instruction."""

    kind: Literal["system_prompt"]
    name: str = "system_prompt"
    """Written into each example's `task`."""
    files: Names = Field(min_length=1)
    """LatentQA's stimulus files (.json), or .jsonl of `messages`, `question` and `answer`."""
    qa: str | None = None
    """LatentQA's questions by label (.json). Without it the instruction itself is asked for."""
    layers: Literal["each", "one", "together"] = "one"
    """An example for each layer, for one drawn layer, or one example with all layers."""


AnyTask = Annotated[
    ContextConfig | ClassificationConfig | SystemPromptConfig, Field(discriminator="kind")
]


class DataConfig(Settings):
    """A data set."""

    tasks: tuple[AnyTask, ...] = Field(min_length=1)
    """What it is made of."""
    seed: int = Field(default=42, ge=0)
    """Decides every draw: windows, layers, questions, the order of examples."""
    held_out: float = Field(default=0.02, ge=0, lt=1)
    """Share of the texts, chosen by a hash of their content, that is kept for evaluation."""
    layer_percents: tuple[float, ...] = Field(default=(25.0, 50.0, 75.0), min_length=1)
    """Depths at which texts are read, as percentages of the model's."""
    num_examples: int | None = Field(default=None, ge=1)
    """Training examples in all, where tasks have weights; by default as many as they allow."""
