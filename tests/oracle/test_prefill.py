"""What runs once for several answers gives what running it for each would."""

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Asked, Decoding
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle

QUESTIONS = ("Is it a mill?", "What stands by the old river, and why does it?")
CHOICES = ("Yes", "a mill by the river", "the old")


@pytest.fixture
def asked(family):
    """Return two prompts of different lengths, each shown something else, and their asker."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
        oracle = Oracle.new(family, Card.for_model(family), lora)
    target = Target(family)
    reading = target.read("The old mill stands by the river.", layers=1, positions=slice(1, 4))
    asker = oracle._asker
    template = asker.template
    shown = [reading.vectors, 3 * reading.vectors.flip(0)]
    return asker, [
        (template, Asked(template.build((1,), 3, question), vectors), question)
        for question, vectors in zip(QUESTIONS, shown, strict=True)
    ]


def test_tails_behind_one_prefill_are_as_likely_as_whole_prompts(asked):
    asker, prompts = asked
    answered = [
        [template.build((1,), 3, question, choice) for choice in CHOICES]
        for template, _, question in prompts
    ]
    tails = [[one.ids[one.answer_start :] for one in some] for some in answered]
    found = asker.tails([prompt for _, prompt, _ in prompts], tails)
    for some, (_, prompt, _), values in zip(answered, prompts, found, strict=True):
        whole = asker.likelihood([Asked(one, prompt.vectors) for one in some])
        for one, other in zip(values, whole, strict=True):
            assert one == pytest.approx(other, abs=1e-4)


def test_samples_from_one_prefill_are_those_of_repeated_prompts(asked):
    asker, prompts = asked
    some = [prompt for _, prompt, _ in prompts]
    how = Decoding(samples=3, temperature=1.0, max_new_tokens=6, seed=5)
    repeated = [prompt for prompt in some for _ in range(3)]
    with asker.model.using(asker.adapter), asker.model.seeded(how.seed):
        batch = asker.batch(repeated, whole=False)
        with asker.injecting(batch):
            new = asker.model.generate(batch.ids, batch.mask, asker._settings(how))
    texts = asker.model.tokenizer.batch_decode(new, skip_special_tokens=True)
    together = asker.generate(some, how)
    assert [one.text for said in together for one in said] == [text.strip() for text in texts]
    assert len({one.ids for said in together for one in said}) > 1
