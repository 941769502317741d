"""What a data set is made of: one YAML file that names the tasks, their files and their settings.

Building a config touches no disk; `tasks.build` reads the files.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from activation_oracles.tasks.later_config import (
    ConversationConfig,
    OnPolicyConfig,
    PrefixSuffixConfig,
)
from activation_oracles.tasks.layer_draws import DrawnLayers
from activation_oracles.tasks.settings import Settings
from activation_oracles.tasks.task_config import Names, TaskConfig, TextSources

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


Unanswered = Literal["nothing", "random", "mean", "absent"]
"""Why a question has no answer: by what is shown, or because the text that is read holds none."""
AboutFeature = Literal["explanation", "yes_no", "activating"]
"""What is asked about an SAE feature."""


class ContextConfig(TextSources, TaskConfig):
    """Context prediction from any texts or chats."""

    kind: Literal["context_prediction"]
    name: str = "context_prediction"
    """Written into each example's `task`."""
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


class UnanswerableConfig(TaskConfig):
    """Questions that what is shown cannot answer; the answer says so."""

    kind: Literal["unanswerable"]
    name: str = "unanswerable"
    """Begins each example's `task`; its kind follows, as `unanswerable/random`."""
    answer: str = Field(default="I cannot tell.", min_length=1)
    """What the oracle shall say."""
    of: Names = ()
    """Tasks whose questions are asked; by default all others of the mixture."""
    questions: Names = ()
    """Further questions, which none of the texts in `files` answers. Ask them in another task of
    texts that do, or the oracle learns that these questions have no answer."""
    files: Names = ()
    """Texts or chats: .txt, or .jsonl with `text` or `messages`."""
    unit: Literal["blocks", "lines"] = "blocks"
    """In .txt files, whether a blank line or every line's end ends a text."""
    kinds: dict[Unanswered, float] = Field(default_factory=dict)
    """Shares of `nothing`, `random`, `mean` and `absent` (real activations of `files`); by default
    even, `absent` where there are `files`."""
    share: float = Field(default=0.1, gt=0)
    """How many examples are made for each example that has such a question."""
    widths: tuple[int, ...] = Field(default=(1, 50), min_length=1)
    """Of `files`, windows of 1 to so many tokens are shown, near the text's end."""

    @model_validator(mode="after")
    def _fits(self) -> "UnanswerableConfig":
        if bool(self.files) != bool(self.questions) or not all(self.questions):
            raise ValueError("`files` and `questions` go together, and no question is empty")
        if min(self.widths) < 1:
            raise ValueError(f"`widths` are 1 or more, got {list(self.widths)}")
        weights = self.weights.values()
        if min(weights) < 0 or not sum(weights):
            raise ValueError(f"`kinds` are shares, none negative and not all 0, got {self.kinds}")
        if self.weights.get("absent") and not self.files:
            raise ValueError("the kind `absent` needs `files`, and `questions` they do not answer")
        return self

    @property
    def weights(self) -> dict[Unanswered, float]:
        """Shares of the kinds that are made."""
        even: dict[Unanswered, float] = {"nothing": 1, "random": 1, "mean": 1}
        if self.files:
            even["absent"] = 1
        return self.kinds or even


class SaeFeaturesConfig(TaskConfig):
    """Questions about the features of a sparse autoencoder."""

    kind: Literal["sae_features"]
    name: str = "sae_features"
    """Begins each example's `task`; what is asked follows, as `sae_features/explanation`."""
    decoder: str
    """Safetensors file with the decoder, a matrix [feature, d_model]."""
    tensor: str | None = None
    """The matrix's name in that file, where it holds several."""
    explanations: str
    """JSON lines of `feature`, `explanation`, and perhaps `questions` and `examples`."""
    layer: int = Field(ge=0)
    """Block, counted from 0, whose output the decoder writes."""
    asks: tuple[AboutFeature, ...] = Field(
        default=("explanation", "yes_no", "activating"), min_length=1
    )
    """What is asked about each feature, where the file has an answer."""


Answerable = (
    ContextConfig
    | ClassificationConfig
    | GroupConfig
    | SystemPromptConfig
    | SaeFeaturesConfig
    | OnPolicyConfig
    | ConversationConfig
    | PrefixSuffixConfig
)
"""Tasks that do not need the others' examples."""
AnyTask = Annotated[Answerable | UnanswerableConfig, Field(discriminator="kind")]


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
    drawn_layers: DrawnLayers | None = None
    """Layers drawn anew for every example, in place of those at `layer_percents`."""
    num_examples: int | None = Field(default=None, ge=1)
    """Training examples in all, where tasks have weights; by default as many as they allow."""
    compat: Compat = "none"
    """`paper` constructs examples as the reference did, defects included. Reproduced: the BOS
    string (or, without one, the end-of-turn string) before plain texts; the LatentQA mask, which on
    Qwen3 drops four tokens too many; classification sides by order after a shuffle that differs by
    pass, so a text may be on both; Yes and No drawn singly, with wrong labels drawn evenly. Not
    reproduced: the reference's random numbers, so not its very rows, windows or order; the white
    space around context prediction's answers."""
