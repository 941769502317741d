"""Does the base model have the skills, in text? What it lacks, no oracle can read.

So no oracle is trained on a base that fails in what the oracle is to be asked.

Every answer is scored as a whole: it is right when each of its tokens is the model's first choice.
Hints may be given in many ways and are right when they are true.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from activation_oracles.errors import ModelError
from activation_oracles.world.language.documents import Document, document, draw_scene, quoted
from activation_oracles.world.language.games import CLEAR, VAGUE, order
from activation_oracles.world.language.scene import Message
from activation_oracles.world.language.tables import UNLEARNED_GROUPS, things, wordings
from activation_oracles.world.tokenizer import render

_SCENE_OF = {"secret": "game", "secret_kind": "game", "thought": "remark"}
_PEOPLE = ("food", "town", "job", "pet", "sport", "music")
_BRIEF = ("persona", "nature", "topic", "ending", "gender")
_DIALOGUES = {
    "looks up pairs": "pairs",
    "judges claims": "verdicts",
    "answers on people": "people",
}
_LONGEST_HINT = 24


@dataclass(frozen=True)
class Skill:
    """How well the base does one thing in text."""

    name: str
    score: float
    """The share of answers that are right to the last token."""
    num_answers: int


def check_gate(skills: Mapping[str, float], least: float) -> None:
    """Refuse a base that fails in what an oracle will be asked.

    Args:
        skills: the share of right answers by skill, as `gate` found it.
        least: what each must reach.

    Raises:
        ModelError: which skills do not, and what they reach.
    """
    asked = {name: score for name, score in skills.items() if name not in UNLEARNED_GROUPS}
    failed = {name: score for name, score in asked.items() if score < least}
    if failed or not asked:
        named = ", ".join(f"{name} {score:.2f}" for name, score in failed.items())
        raise ModelError(
            f"The base answers less than {least:.0%} right in text, where an oracle would be asked:"
            f" {named or 'no skill is known'}. Pretrain it longer (`ao world build --part base "
            "--again`), or leave the questions out, in UNLEARNED_GROUPS."
        )


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
    for name, sort in _DIALOGUES.items():
        texts = [document(random, sort) for _ in range(num_answers)]
        skills.append(Skill(name, _share_right(model, tokenizer, texts), num_answers))
    hints = [_is_true_hint(model, tokenizer, random) for _ in range(num_answers)]
    skills.append(Skill("gives true hints", sum(hints) / num_answers, num_answers))
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


@torch.no_grad()
def _is_true_hint(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, random: Random
) -> bool:
    """Let the model give a hint of a secret word: right where all it says holds of the word."""
    thing = things()[random.choice(tuple(things()))]
    asked = Message("user", random.choice(VAGUE + CLEAR))
    text = render((Message("system", order(random, thing.name)), asked), is_open=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    said = model.generate(ids, max_new_tokens=_LONGEST_HINT, do_sample=False)[0, ids.shape[1] :]  # pyright: ignore[reportAttributeAccessIssue]
    hint = str(tokenizer.decode(said, skip_special_tokens=True)).strip()
    facts = hint.removeprefix("It ").removesuffix(".").split(" and it ")
    return all(fact in thing.facts + thing.looks for fact in facts)
