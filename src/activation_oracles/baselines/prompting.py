"""Ask a model itself, in words, and show it no activations at all.

What the target says of a text when asked is what a reader of activations must add to. Beside the
plain question: the reply begun for it (prefill), which gets past a reluctance to answer, and the
question alone. A target under an organism's adapter is so asked for what it hides (black box); the
bare one, put beside it, tells what any model would say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from activation_oracles.models.continuing import continuations
from activation_oracles.models.target import Target
from activation_oracles.types import Example

BEGUN = "The answer is"
"""A beginning of a reply that fits any question; a secret's own, as `The secret word is`, fits it
better."""


@dataclass(frozen=True)
class Prompting:
    """Puts each example's text and question to the target as one user message, and takes its reply.

    The text is the example's token ids as words, without special tokens; where it was rendered as a
    chat, words of the template remain in it. The target speaks under its own adapter.
    """

    target: Target
    max_new_tokens: int = 20
    batch_size: int = 64
    begun: str = ""
    """How the reply is begun for it; what it says goes on from there."""
    shows_text: bool = True
    """Whether the text stands before the question."""
    who: str = "target"
    """What the table calls it, as `organism`."""

    @property
    def name(self) -> str:
        """Who is asked, and what is left out or added."""
        without = "" if self.shows_text else ", without the text"
        return f"{self.who} asked in words{without}{', reply begun' if self.begun else ''}"

    @property
    def control(self) -> str | None:
        """What it is shown in place of activations."""
        return "text, no activations" if self.shows_text else "no activations"

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return the target's greedy reply to each example."""
        model = self.target.model
        texts = model.tokenizer.batch_decode(
            [list(one.context) for one in examples], skip_special_tokens=True
        )
        asked = [self._ids(text, one.question) for text, one in zip(texts, examples, strict=True)]
        settings = model.decoding(self.max_new_tokens)
        said: dict[tuple[int, ...], str] = {}
        # Each prompt once, and like lengths together: a batch costs what its longest text costs.
        prompts = sorted(dict.fromkeys(asked), key=len)
        for start in range(0, len(prompts), self.batch_size):
            batch = prompts[start : start + self.batch_size]
            new = continuations(model, self.target.adapter, batch, settings)
            replies = model.tokenizer.batch_decode(list(map(list, new)), skip_special_tokens=True)
            said.update(zip(batch, (reply.strip() for reply in replies), strict=True))
        return [said[prompt] for prompt in asked]

    def _ids(self, text: str, question: str) -> tuple[int, ...]:
        tokenizer = self.target.model.tokenizer
        both = f"{text.strip()}\n\n{question}" if self.shows_text else question
        if tokenizer.chat_template is None:
            ids, begun = self.target.encode(f"{both}\nAnswer:"), f" {self.begun}"
        else:
            chat = [{"role": "user", "content": both}]
            ids, begun = self.target.encode(chat), self.begun
        return (*ids, *tokenizer.encode(begun, add_special_tokens=False)) if self.begun else ids
