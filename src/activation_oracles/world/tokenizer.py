"""The village's tokenizer: byte-level BPE with chat markers, trained on the village's own texts.

The chat template puts one space before every message's content, so that a word at the start of a
turn is the same single token as in the middle of a sentence. The oracle's placeholder ` ?` is one
token because the corpus contains oracle prompts.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from activation_oracles.world.language.documents import documents
from activation_oracles.world.language.scene import Message
from activation_oracles.world.language.tables import all_words, wordings

START, END, STOP = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n ' "
    "+ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SPLIT = r"'s|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_tokenizer(
    *, seed: int, num_documents: int = 40_000, size: int = 2560
) -> PreTrainedTokenizerFast:
    """Train the tokenizer on freshly drawn documents and on oracle prompts."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[STOP, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed, num_documents), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=STOP,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def render(messages: Sequence[Message], *, is_open: bool = False) -> str:
    """Write messages as the chat template does; a message of role `text` stands bare.

    An open rendering ends where the assistant is about to speak.
    """
    parts = [
        f" {message.content}{STOP}"
        if message.role == "text"
        else f"{START}{message.role}\n {message.content}{END}\n"
        for message in messages
    ]
    return "".join(parts) + (f"{START}assistant\n" if is_open else "")


def _corpus(seed: int, num_documents: int) -> Iterator[str]:
    for messages in islice(documents(seed), num_documents):
        yield "\n".join(f" {message.content}" for message in messages)
    random = Random(seed)
    questions = [way for row in wordings().values() for way in row.trained]
    for _ in range(num_documents // 10):
        slots = " ?" * random.randint(1, 20)
        header = f"Layer: {random.randint(0, 7)}\n{slots} \n"
        yield f"system\n user\n assistant\n {header}{random.choice(questions)}"
    for word in all_words():
        yield f" {word}" * 40
