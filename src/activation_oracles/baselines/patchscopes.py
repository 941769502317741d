"""The target as its own interpreter: vectors written into a prompt of its own, without training.

Two prompts. Patchscopes (Ghandeharioun et al. 2024, arXiv 2401.06102) asks for the token that a
vector stands for, by examples of repetition, and writes each vector at the layer it was read at.
SelfIE (Chen et al. 2024, arXiv 2403.10949) puts the vectors where a chat's message would be, early,
and begins the reply. Both overwrite; `mode` may add at matched norm instead, as oracles do. The
bare model speaks, under no adapter: an oracle's would be trained to, an organism's to hide.
"""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from activation_oracles.baselines.logit_lens import spoken
from activation_oracles.baselines.probe import Read
from activation_oracles.errors import MismatchError, ModelError
from activation_oracles.models.chat import render
from activation_oracles.models.continuing import continuations
from activation_oracles.models.read import logits_only_at
from activation_oracles.models.target import Target
from activation_oracles.models.write import Mode, Writing, injecting
from activation_oracles.types import Example

PLACEHOLDER = " ?"
"""Its last token is what vectors are written over."""
_MARK = "\u2045here\u2046"


@dataclass(frozen=True)
class Interpretation:
    """A prompt with a place for vectors, and how they are written there."""

    name: str
    before: str
    """What stands in front of the vectors."""
    behind: str
    """What follows them; `{question}` is what is asked."""
    begun: str
    """How the reply is begun."""
    as_chat: bool
    """Whether it is a user's message, where the model has a chat template."""
    block: int | None
    """The block after which vectors are written; None for the layer each was read at."""
    mode: Mode | Literal["overwrite"] = "overwrite"
    ends: tuple[str, ...] = ()
    """Where the reply is cut, beside the end of the turn."""


IDENTITY = Interpretation(
    name="patchscopes",
    before="cat -> cat; 1135 -> 1135; hello -> hello;",
    behind=" ->",
    begun="",
    as_chat=False,
    block=None,
    ends=(";", "\n"),
)
"""The token that a vector stands for; the question is not asked."""
SELFIE = Interpretation(
    name="SelfIE",
    before="",
    behind="\n{question}",
    # Published: a promise to summarize. Here the question is to be answered.
    begun="Sure, I'll answer:",
    as_chat=True,
    block=1,
)
"""The question, behind the vectors, as a user would ask it of a message."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """One example as a prompt: the vectors stand in `ids` from `start` on."""

    ids: tuple[int, ...]
    start: int
    vectors: Float[Tensor, "slot d_model"]
    layers: Sequence[int]


@dataclass(frozen=True)
class Patchscopes:
    """Lets the bare model say what vectors of its own mean to it."""

    target: Target
    read: Read
    """How to get the activations of an example."""
    prompt: Interpretation = IDENTITY
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The answers to choose between, of each task that has few; others are spoken freely."""
    max_new_tokens: int = 20
    batch_size: int = 64
    control: str | None = None

    @property
    def name(self) -> str:
        """Who answers: the prompt, and whether it chooses."""
        return f"{self.prompt.name}, forced choice" if self.choices else self.prompt.name

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return, for each example, the choice whose first token is likeliest, or greedy text.

        Raises:
            ConfigError: the model has no such block.
            MismatchError: the vectors are of another model's width.
        """
        tokenizer = self.target.model.tokenizer
        chosen = [index for index, one in enumerate(examples) if self.choices.get(one.task)]
        free = [index for index, one in enumerate(examples) if not self.choices.get(one.task)]
        said: dict[int, str] = {}
        asked = [examples[index] for index in chosen]
        for index, scores in zip(chosen, self.scores(asked), strict=True):
            said[index] = spoken(tokenizer, scores, self.choices[examples[index].task])
        said.update(zip(free, self.said([examples[index] for index in free]), strict=True))
        return [said[index] for index in range(len(examples))]

    def scores(self, examples: Sequence[Example]) -> Iterator[Float[Tensor, " vocabulary"]]:
        """Yield, for each example, the logits of the token that would begin the reply, in fp32."""
        model = self.target.model
        for batch in self._batches(self._shown(examples)):
            ids = torch.full((len(batch), max(len(one.ids) for one in batch)), model.pad_id)
            for row, one in enumerate(batch):
                ids[row, : len(one.ids)] = torch.tensor(one.ids)
            rows = torch.arange(len(batch), device=model.device)
            last = torch.tensor([len(one.ids) - 1 for one in batch], device=model.device)
            # Padding is on the right and attention is causal: no real token ever sees it.
            with (
                torch.no_grad(),
                model.using(None),
                self._writing(batch, [0] * len(batch)),
                logits_only_at(model.network, rows, last),
            ):
                logits = model.network(input_ids=ids.to(model.device), use_cache=False).logits[0]
            yield from logits[:, : len(model.tokenizer)].float().cpu()

    def said(self, examples: Sequence[Example]) -> list[str]:
        """Return the greedy reply to each example, up to where the prompt ends it."""
        model = self.target.model
        settings = model.decoding(self.max_new_tokens)
        texts: list[str] = []
        for batch in self._batches(self._shown(examples)):
            width = max(len(one.ids) for one in batch)
            with self._writing(batch, [width - len(one.ids) for one in batch]):
                new = continuations(model, None, [one.ids for one in batch], settings)
            texts += model.tokenizer.batch_decode(list(map(list, new)), skip_special_tokens=True)
        return [self._cut(text) for text in texts]

    def _shown(self, examples: Sequence[Example]) -> list[_Shown]:
        model = self.target.model
        shown: list[_Shown] = []
        for one, vectors in zip(examples, self.read(examples), strict=True):
            if vectors.shape[-1] != model.width:
                raise MismatchError(
                    f"{model.name} interprets vectors of width {model.width}, got "
                    f"{vectors.shape[-1]}. Were they read from another model?"
                )
            before, behind = _sides(model.tokenizer, self.prompt, one.question)
            placeholder = model.tokenizer.encode(PLACEHOLDER, add_special_tokens=False)[-1]
            ids = (*before, *[placeholder] * vectors.shape[0], *behind)
            layers = [layer for layer in one.layers for _ in one.positions]
            shown.append(_Shown(ids, len(before), vectors.detach(), layers))
        return shown

    def _batches(self, shown: Sequence[_Shown]) -> Iterator[Sequence[_Shown]]:
        for start in range(0, len(shown), self.batch_size):
            yield shown[start : start + self.batch_size]

    @contextmanager
    def _writing(self, batch: Sequence[_Shown], padding: Sequence[int]) -> Generator[None]:
        """Write a batch's vectors, each behind its block, where rows are padded on the left."""
        placed: defaultdict[int, list[tuple[int, int, Tensor]]] = defaultdict(list)
        for row, (one, left) in enumerate(zip(batch, padding, strict=True)):
            for slot, layer in enumerate(one.layers):
                block = layer if self.prompt.block is None else self.prompt.block
                placed[block].append((row, left + one.start + slot, one.vectors[slot]))
        blocks = self.target.model.blocks
        with ExitStack() as scopes:
            for block, slots in placed.items():
                rows, columns, vectors = zip(*slots, strict=True)
                writing = Writing(
                    torch.tensor(rows),
                    torch.tensor(columns),
                    torch.stack(vectors),
                    num_rows=len(batch),
                    mode=self.prompt.mode,
                )
                scopes.enter_context(injecting(blocks, block, writing))
            yield

    def _cut(self, text: str) -> str:
        text = text.strip()
        for end in self.prompt.ends:
            text = text.partition(end)[0]
        return text.strip()


def _sides(
    tokenizer: PreTrainedTokenizerBase, prompt: Interpretation, question: str
) -> tuple[list[int], list[int]]:
    """Return the ids in front of the vectors and behind them.

    Raises:
        ModelError: the chat template rewrites the message.
    """
    behind = prompt.behind.replace("{question}", question)
    if not prompt.as_chat or tokenizer.chat_template is None:
        closing = f"\n{prompt.begun}" if prompt.begun else ""
        return tokenizer.encode(prompt.before), _ids(tokenizer, behind + closing)
    message = {"role": "user", "content": f"{prompt.before}{_MARK}{behind}"}
    left, mark, right = render(tokenizer, [message], add_generation_prompt=True).partition(_MARK)
    if not mark:
        raise ModelError(
            f"The chat template rewrites the message, so {prompt.name} cannot tell where its "
            "vectors go. Use an `Interpretation` with as_chat=False."
        )
    return _ids(tokenizer, left), _ids(tokenizer, right + prompt.begun)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)
