"""Patchscopes and SelfIE: the written-in run is the run with a hand-made hook, and nothing else."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from activation_oracles.baselines.patchscopes import IDENTITY, SELFIE, Interpretation, Patchscopes
from activation_oracles.errors import ConfigError, MismatchError
from activation_oracles.types import Example

QUESTION = "What is the secret word?"


def example(context, places, layers=(1,), task="t"):
    return Example(context, places, layers, QUESTION, "moon", task, "s")


@contextmanager
def overwritten(block, columns, vectors):
    """Write by hand, wherever the whole prompt runs."""

    def hook(_module, _inputs, output):
        stream = output[0] if isinstance(output, tuple) else output
        if stream.shape[1] > 1:
            stream[0, columns] = vectors
        return output

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def prompt_ids(target, count):
    """Return SelfIE's prompt, written down by hand, and its slots."""
    tokenizer = target.model.tokenizer
    (placeholder,) = tokenizer.encode(" ?")
    before = tokenizer.encode("<|im_start|>user\n")
    behind = tokenizer.encode(f"\n{QUESTION}<|im_end|>\n<|im_start|>assistant\nSure, I'll answer:")
    slots = [len(before) + slot for slot in range(count)]
    return [*before, *[placeholder] * count, *behind], slots


def test_a_written_run_is_the_run_with_a_hand_made_hook(target, context):
    one = example(context, (2, 5, 6))
    vectors = target.vectors([one])[0]
    ids, slots = prompt_ids(target, 3)
    network = target.model.network
    with torch.no_grad(), overwritten(network.model.layers[1], slots, vectors):
        logits = network(input_ids=torch.tensor([ids])).logits[0, -1]
        new = network.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False)
    ours = Patchscopes(target, target.vectors, SELFIE, max_new_tokens=6)
    (scores,) = ours.scores([one])
    assert torch.allclose(scores, logits, atol=1e-5)
    text = target.model.tokenizer.decode(new[0, len(ids) :], skip_special_tokens=True)
    assert ours.answer([one]) == [text.strip()]


def test_a_vector_in_its_own_place_changes_nothing(target, context):
    ids, (slot,) = prompt_ids(target, 1)
    own = target.vectors([example(tuple(ids), (slot,), layers=(0,))])[0]
    with torch.no_grad():
        plain = target.model.network(input_ids=torch.tensor([ids])).logits[0, -1]
    prompt = replace(SELFIE, block=0)
    (scores,) = Patchscopes(target, lambda _: [own], prompt).scores([example(context, (0,))])
    assert torch.allclose(scores, plain, atol=1e-5)
    (other,) = Patchscopes(target, lambda _: [own.flip(-1)], prompt).scores(
        [example(context, (0,))]
    )
    assert not torch.allclose(other, plain, atol=1e-3)


def test_each_vector_goes_to_the_layer_it_was_read_at(target, context):
    one = example(context, (2, 5), layers=(0, 2))
    vectors = target.vectors([one])[0]
    tokenizer = target.model.tokenizer
    before = tokenizer.encode(IDENTITY.before)
    ids = [*before, *tokenizer.encode(" ?") * 4, *tokenizer.encode(" ->")]
    first, second = [len(before), len(before) + 1], [len(before) + 2, len(before) + 3]
    layers = target.model.network.model.layers
    with (
        torch.no_grad(),
        overwritten(layers[0], first, vectors[:2]),
        overwritten(layers[2], second, vectors[2:]),
    ):
        logits = target.model.network(input_ids=torch.tensor([ids])).logits[0, -1]
    (scores,) = Patchscopes(target, target.vectors, IDENTITY).scores([one])
    assert torch.allclose(scores, logits, atol=1e-5)


@pytest.mark.parametrize("prompt", [IDENTITY, SELFIE])
def test_who_else_is_in_the_batch_changes_nothing(target, context, prompt):
    examples = [example(context, tuple(range(n, 2 * n))) for n in (1, 4, 2)]
    scopes = Patchscopes(target, target.vectors, prompt, max_new_tokens=5)
    alone = [next(scopes.scores([one])) for one in examples]
    for ours, theirs in zip(scopes.scores(examples), alone, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
    assert scopes.said(examples) == [scopes.said([one])[0] for one in examples]
    in_parts = replace(scopes, batch_size=2)
    assert in_parts.said(examples) == scopes.said(examples)


def test_the_bare_model_speaks_whatever_adapter_is_loaded(bare_and_organism, context):
    target, with_adapter = bare_and_organism
    read = target.vectors
    one = [example(context, (3,))]
    (bare,) = Patchscopes(target, read, SELFIE).scores(one)
    with target.model.using(with_adapter.adapter):
        (under,) = Patchscopes(with_adapter, read, SELFIE).scores(one)
    assert torch.equal(bare, under)


def test_few_answers_are_chosen_between_and_others_spoken(target, context):
    examples = [example(context, (3,), task=task) for task in ("few", "many")]
    scopes = Patchscopes(target, target.vectors, SELFIE, {"few": ("moon", "boat")}, 4)
    chosen, spoken = scopes.answer(examples)
    (scores,) = scopes.scores(examples[:1])
    encode = target.model.tokenizer.encode
    best = {
        word: max(scores[encode(word)[0]], scores[encode(f" {word}")[0]])
        for word in ("moon", "boat")
    }
    assert chosen == max(best, key=best.__getitem__)
    assert spoken == scopes.said(examples[1:])[0]
    assert scopes.name == "SelfIE, forced choice"


def test_a_reply_is_cut_where_the_prompt_ends_it(target):
    scopes = Patchscopes(target, target.vectors, IDENTITY)
    assert scopes._cut(" moon; hello -> hello\n") == "moon"


def test_a_model_without_chats_gets_plain_text(target, context, monkeypatch):
    monkeypatch.setattr(target.model.tokenizer, "chat_template", None)
    assert len(Patchscopes(target, target.vectors, SELFIE).said([example(context, (1,))])) == 1


def test_what_does_not_fit_is_refused(target, context):
    one = [example(context, (1,))]
    with pytest.raises(MismatchError, match="width 32"):
        Patchscopes(target, lambda asked: [torch.ones(1, 5)] * len(asked)).answer(one)
    deep = Interpretation("deep", "", "", "", as_chat=False, block=9)
    with pytest.raises(ConfigError, match="blocks 0 to 3"):
        Patchscopes(target, target.vectors, deep).answer(one)
