"""The oracle's prompt: a header with one placeholder token per activation, then the question.

Slots are known when the prompt is written. Nothing is ever searched for in the token ids, so a
question may contain the placeholder's own text without harm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import ConfigError, DataError, ModelError
from activation_oracles.models.chat import content_start, render

PLACEHOLDERS = (
    *(" ?", " *", " #", " _", " @", " ~", " +", " =", " x"),
    # Tokenizers that keep a space at the end of the word before it take these.
    *("?", "*", "#", "_", "$", "%", "&", "+", "=", "~", "<", ">", "|", "x"),
)
"""In order of preference; the first is the published one."""
COUNT = "{special_token} * {num_positions}"
PUBLISHED_PREFIX = "Layer: {layer}\\n{special_token} * {num_positions} \\n"
"""As schema v1 of ao_config.json writes it, backslash and n included."""
RELATIVE_PREFIX = PUBLISHED_PREFIX.replace("{layer}", "{percent}%")
"""The same with the depth in percent, which says the same of a deeper or shallower model (advice of
BerTobi/crossmodel-activation-oracles). Schema v1 does not know it."""
NAMES = ("{layer}", "{percent}")
"""How a prefix may call a layer."""
NUM_KEPT = 256
"""Prompts that a template keeps for when they are wanted again."""
UNKNOWN_ANSWER = "N/A"
"""Stands in for the answer where there is none, as published: the ids before it do not change."""


@dataclass(frozen=True)
class Prompt:
    """One oracle prompt with its answer, by token."""

    ids: tuple[int, ...]
    """Prompt, answer, the token that ends the turn, and the template's tail."""
    slots: tuple[int, ...]
    """Where the placeholders stand, one per activation, layer-major."""
    answer_start: int
    """The first token that is not prompt: what is learned, or generated, begins here."""
    answer_end: int
    """Behind the last token that holds some of the answer; the end of the turn follows."""


@dataclass(frozen=True)
class Template:
    """How prompts are written for one tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    placeholder: str
    """Text of the token that is written over, as ` ?`."""
    prefix: str = PUBLISHED_PREFIX
    """One line per layer, in the notation of schema v1, and `{percent}` for its depth."""
    num_layers: int | None = None
    """Decoder blocks of the model that is read, of which depths are percentages."""

    def __post_init__(self) -> None:
        text = self.prefix.replace("\\n", "\n")
        before = text.partition(COUNT)[0]
        if text.count(COUNT) != 1 or not any(name in before for name in NAMES):
            raise ConfigError(
                f"The prefix template {self.prefix!r} is not understood: expected "
                f"{PUBLISHED_PREFIX!r} or another text with {' or '.join(NAMES)} before one "
                f"{COUNT!r}."
            )
        if "{percent}" in before and not self.num_layers:
            raise ConfigError(
                f"The prefix template {self.prefix!r} says depths in percent, so the model's "
                "number of layers is needed. Give it as `num_layers`."
            )

    @cached_property
    def placeholder_id(self) -> int:
        """The placeholder's token id.

        Raises:
            ModelError: it is not one token for this tokenizer.
        """
        ids = self.tokenizer.encode(self.placeholder, add_special_tokens=False)
        if len(ids) != 1:
            # Some tokenizers put a space before whatever comes first.
            ids = self._tokens_inside()
        if len(ids) != 1:
            raise ModelError(
                f"The placeholder {self.placeholder!r} is {len(ids)} tokens for this tokenizer; "
                "it must be one. Is this the tokenizer of the oracle's own base model?"
            )
        return ids[0]

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The token that ends the oracle's turn."""
        prompt = self.build((0,), 1, "?", UNKNOWN_ANSWER)
        return prompt.ids[prompt.answer_end : prompt.answer_end + 1]

    def build(
        self, layers: Sequence[int], num_positions: int, question: str, answer: str | None = None
    ) -> Prompt:
        """Write the prompt that shows `num_positions` activations at each of `layers`.

        With one layer the user message is `Layer: {N}`, a newline, the placeholders, a space, a
        newline, the question (arXiv 2512.15674); with several, the first two lines come once per
        layer. A prefix may name the depth in percent in place of the block. A model without a
        chat template gets the same text, then a newline and `Answer:`.

        Raises:
            DataError: the question is empty.
            ModelError: the tokenizer does not keep the placeholders apart.
        """
        if not question.strip():
            raise DataError("The question is empty.")
        return self._written(tuple(layers), num_positions, question, answer)

    @cached_property
    def _written(self) -> Callable[[tuple[int, ...], int, str, str | None], Prompt]:
        """`_write`, once for what comes again: a sweep asks the same words of every token."""
        return lru_cache(maxsize=NUM_KEPT)(self._write)

    def _write(
        self, layers: Sequence[int], num_positions: int, question: str, answer: str | None
    ) -> Prompt:
        header, places = self._header(layers, num_positions)
        said = UNKNOWN_ANSWER if answer is None else answer
        if self.tokenizer.chat_template is None:
            ids, ends, start, answer_start, answer_end = self._plain(header + question, said)
        else:
            ids, ends, start, answer_start, answer_end = self._chat(header + question, said)
        at = {end: index for index, end in enumerate(ends)}
        slots = [at.get(start + place + len(self.placeholder), -1) for place in places]
        wrong = [slot for slot in slots if slot < 0 or ids[slot] != self.placeholder_id]
        if wrong or len(set(slots)) != len(places):
            raise ModelError(
                f"This tokenizer does not keep the placeholder {self.placeholder!r} as one token "
                f"in the prompt ({len(wrong)} of {len(places)} merged). Choose another."
            )
        return Prompt(tuple(ids), tuple(slots), answer_start, answer_end)

    def _tokens_inside(self) -> list[int]:
        """Return the placeholder's tokens as they are in the middle of a text."""
        encoded = self.tokenizer(
            f"\n{self.placeholder * 3}\n", add_special_tokens=False, return_offsets_mapping=True
        )
        start = 1 + len(self.placeholder)
        end = start + len(self.placeholder)
        spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        return [token for token, (first, last) in spans if first < end and last > start]

    def _header(self, layers: Sequence[int], num_positions: int) -> tuple[str, list[int]]:
        """Return the header and the character at which each placeholder starts."""
        before, _, after = self.prefix.replace("\\n", "\n").partition(COUNT)
        header = ""
        places = []
        for layer in layers:
            header += self._named(before, layer)
            places += [len(header) + n * len(self.placeholder) for n in range(num_positions)]
            header += self.placeholder * num_positions + after
        return header, places

    def _named(self, line: str, layer: int) -> str:
        """Return the text before the placeholders, with the layer in it."""
        if self.num_layers:
            line = line.replace("{percent}", f"{100 * layer / self.num_layers:.0f}")
        return line.replace("{layer}", str(layer))

    def _chat(self, content: str, answer: str) -> tuple[list[int], list[int], int, int, int]:
        asked = [{"role": "user", "content": content}]
        opening = self._encode(render(self.tokenizer, asked, add_generation_prompt=True))[0]
        rendered = render(
            self.tokenizer,
            [*asked, {"role": "assistant", "content": answer}],
            add_generation_prompt=False,
        )
        start = self._content_start
        if not rendered.startswith(content.strip(), start):
            raise ModelError("The model's chat template rewrites the question; cannot find slots.")
        ids, ends = self._encode(rendered)
        # As published: the prompt's own length is masked in the full render, whose tokens at the
        # seam may differ from the prompt's; training and asking then share every id before it.
        answer_start = min(len(opening), len(ids))
        finish = len(rendered) - len(self._tail)
        answer_end = next((i for i, end in enumerate(ends) if end > finish), len(ids))
        return ids, ends, start, answer_start, max(answer_end, answer_start)

    def _plain(self, content: str, answer: str) -> tuple[list[int], list[int], int, int, int]:
        encoded = self.tokenizer(f"{content}\nAnswer:", return_offsets_mapping=True)
        ids = list(encoded["input_ids"])
        ends = [end for _, end in encoded["offset_mapping"]]
        said = self.tokenizer.encode(f" {answer}", add_special_tokens=False)
        stop = self.tokenizer.eos_token_id
        if not isinstance(stop, int):
            raise ModelError("This model has neither a chat template nor an end-of-text token.")
        return [*ids, *said, stop], ends, 0, len(ids), len(ids) + len(said)

    def _encode(self, rendered: str) -> tuple[list[int], list[int]]:
        encoded = self.tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
        return list(encoded["input_ids"]), [end for _, end in encoded["offset_mapping"]]

    @cached_property
    def _content_start(self) -> int:
        return content_start(self.tokenizer, "user")

    @cached_property
    def _tail(self) -> str:
        """What the template writes behind the assistant's words."""
        chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": UNKNOWN_ANSWER}]
        rendered = render(self.tokenizer, chat, add_generation_prompt=False)
        return rendered.rpartition(UNKNOWN_ANSWER)[2]


def choose_placeholder(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the published placeholder, or the first other one that stays a token of its own.

    Raises:
        ModelError: none of the candidates does.
    """
    for placeholder in PLACEHOLDERS:
        try:
            Template(tokenizer, placeholder).build((0, 1), 3, "What?")
        except ModelError:
            continue
        return placeholder
    raise ModelError(
        f"None of {PLACEHOLDERS} stays one token when repeated in this model's prompt. "
        "Name another in the card's `placeholder`."
    )
