"""What a data set is made of: one YAML file that names the tasks, their files and their settings.

Building a config touches no disk; `tasks.build` reads the files.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from activation_oracles.tasks.settings import Settings

Names = tuple[str, ...]
Compat = Literal["none", "paper"]
TrainedGroup = Literal[
    "geometry_of_truth",
    "relations",
    "sst2",
    "md_gender",
    "snli",
    "ner",
    "tense",
]
"""The published classification groups that are trained on."""
HeldOutGroup = Literal[
    "ag_news",
    "language_identification",
    "singular_plural",
    "engels_headline_istrump",
    "engels_headline_isobama",
    "engels_headline_ischina",
    "engels_hist_fig_ismale",
]
"""The published groups that are only tested on."""
Group = Literal[
    TrainedGroup,
    HeldOutGroup,
    "engels_news_class_politics",
    "engels_wikidata_isjournalist",
    "engels_wikidata_isathlete",
    "engels_wikidata_ispolitician",
    "engels_wikidata_issinger",
    "engels_wikidata_isresearcher",
]
"""All published groups, with those that the paper leaves out."""


class TaskConfig(Settings):
    """What every task has."""

    weight: float | None = Field(default=None, gt=0)
    """Share in the mixture. Give it for all tasks or for none; without, all examples are taken."""
    layers: Literal["each", "one", "together"] = "each"
    """An example for each layer, for one drawn layer, or one example with all layers."""
    max_tokens: int = Field(default=512, ge=8)
    """Longest text that is read. Texts of context prediction are cut to it, others left out."""
    held_out: float | None = Field(default=None, ge=0, lt=1)
    """Share of this task's texts that is held out; by default the data set's."""
    expects: int | None = Field(default=None, ge=0)
    """About how many examples it makes; said where one of its sources is missing."""
    origin: str = ""
    """Where its files can be got; said where one is missing."""


class CorpusConfig(Settings):
    """A data set on the hub, or a local copy of it."""

    repo: str
    """As `HuggingFaceFW/fineweb`."""
    revision: str = "main"
    """Commit, which never changes, or branch, whose commit is looked up and recorded."""
    files: str | None = None
    """Which of its files, as `data/train-*.parquet`; by default its own layout decides."""
    split: str = "train"
    """Which split, where its own layout decides; else a name for these files."""
    column: str = "text"
    """Where a text is, or a chat as a list of messages."""
    folder: str | None = None
    """Folder of local copies: the data set's files are in `folder/repo`. Nothing is fetched."""


class ContextConfig(TaskConfig):
    """Context prediction from any texts or chats."""

    kind: Literal["context_prediction"]
    name: str = "context_prediction"
    """Written into each example's `task`."""
    files: Names = ()
    """Texts or chats: .txt, or .jsonl with `text` or `messages`."""
    corpora: tuple[CorpusConfig, ...] = ()
    """Data sets on the hub, or copies of such, from which texts are drawn by turns."""
    num_documents: int = Field(default=0, ge=0)
    """How many texts are drawn from `corpora` in all."""
    unit: Literal["blocks", "lines"] = "blocks"
    """In .txt files, whether a blank line or every line's end ends a text."""
    widths: tuple[int, ...] = Field(default=(1, 50), min_length=1)
    """One pass over the texts for each: windows of 1 to so many tokens are shown."""
    max_wanted: int = Field(default=50, ge=1)
    """At most so many tokens are asked for. Lower it where texts are short."""

    @model_validator(mode="after")
    def _has_texts(self) -> "ContextConfig":
        if not self.files and not self.corpora:
            raise ValueError("give `files`, or `corpora`")
        if bool(self.corpora) != bool(self.num_documents):
            raise ValueError("`corpora` and `num_documents` go together")
        return self


class WindowConfig(Settings):
    """One pass over a table's rows."""

    width: int = Field(ge=1)
    """Windows of 1 to so many tokens are shown."""
    questions: int = Field(default=1, ge=1)
    """Questions each row gets."""


PUBLISHED_WINDOWS = (WindowConfig(width=1, questions=2), WindowConfig(width=50))


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
    windows: tuple[WindowConfig, ...] = Field(default=PUBLISHED_WINDOWS, min_length=1)
    """Passes over the rows."""
    max_rows: int | None = Field(default=None, ge=2)
    """Take so many rows of the files, drawn by the seed."""


class GroupConfig(TaskConfig):
    """One of the published classification groups, each with its own way to make questions."""

    kind: Literal["published_group"]
    name: str
    """Written into each example's `task`, as `classification/snli`."""
    group: Group
    """Which one."""
    folder: str
    """The reference's folder `datasets`, which holds the questions of all groups, and the texts of
    those that are no data set of the hub."""
    copies: str | None = None
    """Folder of local copies of the hub's data sets, as in a corpus."""
    windows: tuple[WindowConfig, ...] = Field(default=PUBLISHED_WINDOWS, min_length=1)
    """Passes over the rows."""
    train_rows: int | None = Field(default=6000, ge=0)
    """Texts of the training side, the same for every pass; 0 holds the whole group out; null takes
    all there are."""
    held_out_rows: int | None = Field(default=250, ge=0)
    """At most so many texts are held out."""


class SystemPromptConfig(TaskConfig):
    """Questions about a system prompt or another instruction."""

    kind: Literal["system_prompt"]
    name: str = "system_prompt"
    """Written into each example's `task`."""
    files: Names = Field(min_length=1)
    """LatentQA's stimulus files (.json), or .jsonl of `messages`, `question` and `answer`."""
    qa: str | None = None
    """LatentQA's questions by label (.json). Without it the instruction itself is asked for."""
    max_questions: int | None = Field(default=None, ge=1)
    """Take so many questions of the files, drawn by the seed."""
    layers: Literal["each", "one", "together"] = "one"
    """An example for each layer, for one drawn layer, or one example with all layers."""


AnyTask = Annotated[
    ContextConfig | ClassificationConfig | GroupConfig | SystemPromptConfig,
    Field(discriminator="kind"),
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
    compat: Compat = "none"
    """`paper` constructs examples as the reference did, defects included. Reproduced: the BOS
    string (or, without one, the end-of-turn string) before plain texts; the LatentQA mask, which on
    Qwen3 drops four tokens too many; classification sides by order after a shuffle that differs by
    pass, so a text may be on both; Yes and No drawn singly, with wrong labels drawn evenly. Not
    reproduced: the reference's random numbers, so not its very rows, windows or order; the white
    space around context prediction's answers."""
