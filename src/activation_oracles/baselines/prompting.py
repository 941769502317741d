"""Ask the target itself, in words: the question after the text, and no activations at all.

What the target says of a text when asked is what a reader of activations must add to.
"""

from collections.abc import Sequence

from activation_oracles.models.target import Target
from activation_oracles.types import Example


class Prompting:
    """Puts each example's text and question to the target as one user message, and takes its reply.

    The text is the example's token ids as words, without special tokens; where it was rendered as a
    chat, words of the template remain in it.
    """

    name = "target asked in words"
    control: str | None = "text, no activations"

    def __init__(self, target: Target, *, max_new_tokens: int = 20, batch_size: int = 64) -> None:
        self._target = target
        self._max_new_tokens = max_new_tokens
        self._batch_size = batch_size

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return the target's greedy reply to each example."""
        tokenizer = self._target.model.tokenizer
        texts = tokenizer.batch_decode(
            [list(one.context) for one in examples], skip_special_tokens=True
        )
        chats = [self._asked(text, one.question) for text, one in zip(texts, examples, strict=True)]
        said: dict[int, str] = {}
        # Like lengths together: a batch costs what its longest text costs.
        order = sorted(range(len(chats)), key=lambda index: len(examples[index].context))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            replies = self._target.generate_all(
                [chats[index] for index in batch], max_new_tokens=self._max_new_tokens
            )
            said.update(zip(batch, (reply.strip() for reply in replies), strict=True))
        return [said[index] for index in range(len(chats))]

    def _asked(self, text: str, question: str) -> str | list[dict[str, str]]:
        both = f"{text.strip()}\n\n{question}"
        if self._target.model.tokenizer.chat_template is None:
            return f"{both}\nAnswer:"
        return [{"role": "user", "content": both}]
