"""Does the base model have the skills, in text? No oracle is trained before it does.

Every answer is scored as a whole: it is right when each of its tokens is the model's first choice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from activation_oracles.world.language.documents import Document, document, draw_scene, quoted
from activation_oracles.world.language.scene import Message
from activation_oracles.world.language.tables import wordings
from activation_oracles.world.tokenizer import render

_SCENE_OF = {"secret": "game", "secret_kind": "game", "thought": "remark"}
_PEOPLE = ("food", "town", "job", "pet", "sport", "music")
_BRIEF = ("persona", "nature", "topic", "ending", "gender")
_DIALOGUES = {
    "repeats words": ("recital", lambda text: True),
    "looks up pairs": ("pairs", lambda text: True),
    "plays: vague hint": ("game", lambda text: text.startswith("It ")),
    "plays: yes or no": ("game", lambda text: text in ("Yes.", "No.")),
    "solves a riddle": ("riddle", lambda text: True),
    "knows things": ("verdicts", lambda text: text in ("Yes.", "No.")),
    "answers on people": ("people", lambda text: True),
}


@dataclass(frozen=True)
class Skill:
    """How well the base does one thing in text."""

    name: str
    score: float
    """The share of answers that are right to the last token."""
    num_answers: int


def gate(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, *, seed: int, num_answers: int = 60
) -> list[Skill]:
    """Score every skill on fresh texts that hold the answer, and on talks that end with it."""
    random = Random(seed)
    skills = []
    for aspect in wordings():
        if aspect.startswith("evil"):
            continue
        texts = [_asked(random, aspect) for _ in range(num_answers)]
        skills.append(Skill(aspect, _share_right(model, tokenizer, texts), num_answers))
    for name, (sort, fits) in _DIALOGUES.items():
        texts = [_ending_with(random, sort, fits) for _ in range(num_answers)]
        skills.append(Skill(name, _share_right(model, tokenizer, texts), num_answers))
    return skills


def _asked(random: Random, aspect: str) -> Document:
    subject = _SCENE_OF.get(aspect)
    if subject is None:
        if aspect in _PEOPLE:
            subject = "people"
        else:
            subject = "brief" if aspect in _BRIEF or aspect.startswith("user_") else "report"
    while True:
        scene = draw_scene(random, subject)
        truths = [truth for truth in scene.truths if truth.aspect == aspect]
        if truths:
            truth = random.choice(truths)
            content = f"{quoted(random, scene)}\n{truth.any_question(random)}"
            return (Message("user", content), Message("assistant", truth.answer))


def _ending_with(random: Random, sort: str, fits: Callable[[str], bool]) -> Document:
    while True:
        messages = document(random, sort)
        for index in range(len(messages) - 1, -1, -1):
            if messages[index].role == "assistant" and fits(messages[index].content):
                return messages[: index + 1]


@torch.no_grad()
def _share_right(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[Document]
) -> float:
    right = 0
    for text in texts:
        prompt = tokenizer(render(text[:-1], is_open=True), add_special_tokens=False)["input_ids"]
        whole = tokenizer(render(text), add_special_tokens=False)["input_ids"]
        ids = torch.tensor([whole])
        best = model(input_ids=ids).logits[0].argmax(-1)
        # The last two tokens close the turn: the marker counts, the line break after it does not.
        answer = slice(len(prompt), len(whole) - 1)
        right += bool(torch.equal(best[answer.start - 1 : answer.stop - 1], ids[0, answer]))
    return right / len(texts)
