"""What the settings of every task begin with, and where texts come from that are no files."""

from typing import Literal

from pydantic import Field, model_validator

from activation_oracles.tasks.settings import Settings

Names = tuple[str, ...]


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
    paraphrases: str | None = None
    """JSON file from a question to a list of other wordings; after a `#`, the key to take."""
    held_out_paraphrases: float = Field(default=0.2, ge=0, lt=1)
    """Share of a question's other wordings that is kept for evaluation."""
    paraphrases_cover: Literal["all", "some"] = "all"
    """Whether a question for which that file has no other wording is an error, or asked as it is.
    """
    rewordings: int = Field(default=1, ge=0)
    """In so many wordings that were kept, at most, each held-out example is asked once more."""


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


class TextSources(Settings):
    """Where texts or chats come from, for whatever is made of them."""

    files: Names = ()
    """Texts or chats: .txt, or .jsonl with `text` or `messages`."""
    corpora: tuple[CorpusConfig, ...] = ()
    """Data sets on the hub, or copies of such, from which texts are drawn by turns."""
    num_documents: int = Field(default=0, ge=0)
    """How many texts are drawn from `corpora` in all."""
    unit: Literal["blocks", "lines"] = "blocks"
    """In .txt files, whether a blank line or every line's end ends a text."""

    @model_validator(mode="after")
    def _has_texts(self) -> "TextSources":
        if not self.files and not self.corpora:
            raise ValueError("give `files`, or `corpora`")
        if bool(self.corpora) != bool(self.num_documents):
            raise ValueError("`corpora` and `num_documents` go together")
        return self
