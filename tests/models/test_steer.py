"""Every push is compared with a reference that keeps no cache and adds by hand."""

import pytest
import torch

from activation_oracles.models.load import load
from activation_oracles.models.push import Push
from activation_oracles.models.steer import pushed, steering
from activation_oracles.models.steered import Steered
from activation_oracles.models.store import ReadingStore
from activation_oracles.models.target import Target
from activation_oracles.types import Example
from steering_by_hand import TEXTS, directions, fast, slow, slow_logits, streams


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def target(tiny):
    return Target(tiny)


WHERES = ["all", "prompt", "generated", ((0, 2), (1,), (0,))]


@pytest.mark.parametrize("unit", ["residual", "absolute"])
@pytest.mark.parametrize("where", WHERES, ids=str)
def test_a_padded_batch_of_own_pushes_goes_on_as_the_slow_reference(target, unit, where):
    prompts = [target.encode(one) for one in TEXTS]
    assert len({len(one) for one in prompts}) == 3
    vectors, strengths = directions(32, 3), torch.tensor([3.0, -3.0, 5.0])
    push = Push(1, vectors, strengths, unit=unit, where=where)
    expected = [slow(target.model, ids, [push], row) for row, ids in enumerate(prompts)]
    plain = [slow(target.model, ids, []) for ids in prompts]
    assert expected != plain
    assert fast(target, [push], prompts) == expected
    assert fast(target, [push], prompts, use_cache=False) == expected
    for chunk in (1, 4):
        assert fast(target, [push], prompts, prefill_chunk_size=chunk) == expected


@pytest.mark.parametrize("where", WHERES, ids=str)
def test_the_logits_of_a_padded_batch_are_the_slow_references(tiny, target, where):
    prompts = [target.encode(one) for one in TEXTS]
    push = Push(2, directions(32, 3), torch.tensor([0.5, -2.0, 1.0]), where=where)
    width = max(map(len, prompts))
    ids, mask = torch.zeros(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.long)
    padding = torch.tensor([width - len(one) for one in prompts])
    for row, one in enumerate(prompts):
        ids[row, padding[row] :], mask[row, padding[row] :] = torch.tensor(one), 1
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with steering(tiny.blocks, [push], padding=padding), torch.no_grad():
        found = tiny.network(input_ids=ids, attention_mask=mask, position_ids=places).logits
    for row, one in enumerate(prompts):
        expected = slow_logits(tiny, one, [push], row, len(one))
        assert torch.allclose(found[row, padding[row] :], expected, atol=1e-5)


def test_every_family_goes_on_as_its_slow_reference_beyond_its_window(family):
    # Longer than the sliding windows of 16, where a cache holds less than was read.
    prompts = [tuple(range(5, 19)), tuple(range(30, 35))]
    pushes = [
        Push(1, directions(family.width, 2), torch.tensor([2.0, -2.0])),
        Push(2, directions(family.width, seed=5), 1.5, unit="absolute", where="generated"),
    ]
    expected = [slow(family, ids, pushes, row) for row, ids in enumerate(prompts)]
    assert fast(Target(family), pushes, prompts) == expected


def test_every_hybrid_goes_on_with_a_cache_as_without(hybrid):
    prompts = [tuple(range(5, 19))] * 2
    pushes = [Push(1, directions(hybrid.width, 2), torch.tensor([2.0, -2.0]), where="generated")]
    expected = [slow(hybrid, ids, pushes, row) for row, ids in enumerate(prompts)]
    assert fast(Target(hybrid), pushes, prompts) == expected


def test_the_first_generated_token_is_steered_and_only_the_last_prompt_token_makes_it(target):
    ids = target.encode(TEXTS[0])
    vector = directions(32)
    with torch.no_grad(), steering(target.model.blocks, [Push(2, vector, 9.0, where="generated")]):
        new = target.model.network(input_ids=torch.tensor([ids])).logits
    chosen = Push(2, vector, 9.0, where=((len(ids) - 1,),))
    with torch.no_grad(), steering(target.model.blocks, [chosen]):
        last = target.model.network(input_ids=torch.tensor([ids])).logits
    with torch.no_grad():
        plain = target.model.network(input_ids=torch.tensor([ids])).logits
    assert torch.equal(new, last)
    assert not torch.allclose(new[:, -1], plain[:, -1])
    assert torch.equal(new[:, :-1], plain[:, :-1])


@pytest.mark.parametrize("unit", ["residual", "absolute"])
def test_a_push_is_the_closed_form_in_every_family(family, unit):
    ids = torch.arange(5, 17).view(2, 6)
    vectors, strengths = directions(family.width, 2), torch.tensor([0.5, -2.0])
    before = streams(family, ids, 2)
    with steering(family.blocks, [Push(2, vectors, strengths, unit=unit)]):
        after = streams(family, ids, 2)
    v = vectors[:, None]
    if unit == "residual":
        v = before.norm(dim=-1, keepdim=True) * v / v.norm(dim=-1, keepdim=True)
    assert torch.allclose(after, before + strengths[:, None, None] * v, atol=1e-5)


def test_pushes_at_one_block_are_added_in_order(tiny):
    ids = torch.arange(6)[None]
    one, two = (Push(1, directions(32, seed=seed), 1.0) for seed in (1, 2))
    expected = pushed(pushed(streams(tiny, ids, 1), one), two)
    with steering(tiny.blocks, [one, two]):
        assert torch.equal(streams(tiny, ids, 1), expected)
    with steering(tiny.blocks, [two, one]):
        assert not torch.allclose(streams(tiny, ids, 1), expected, atol=1e-3)


@pytest.mark.parametrize("where", ["all", "generated", ((1,), (2,))])
@pytest.mark.parametrize("unit", ["residual", "absolute"])
def test_strength_zero_leaves_a_sequence_as_it_is_to_the_bit(tiny, unit, where):
    ids = torch.arange(5, 17).view(2, 6)
    push = Push(1, directions(32, 2), torch.tensor([0.0, 2.0]), unit=unit, where=where)
    with torch.no_grad():
        before = tiny.network(input_ids=ids).logits
        with steering(tiny.blocks, [push]):
            after = tiny.network(input_ids=ids).logits
        with steering(tiny.blocks, [Push(1, directions(32, 2), 0.0, unit=unit, where=where)]):
            assert torch.equal(tiny.network(input_ids=ids).logits, before)
    assert torch.equal(after[0], before[0])
    assert not torch.allclose(after[1], before[1])


def test_minus_zero_and_infinity_outlast_strength_zero():
    stream = torch.tensor([[[-0.0, torch.inf]]])
    for strengths in (0.0, torch.zeros(1)):
        found = pushed(stream, Push(0, torch.ones(1, 2), strengths))
        assert torch.equal(found.view(torch.int32), stream.view(torch.int32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_long_streams_in_half_precision_are_pushed_by_their_true_length(dtype):
    stream = torch.full((1, 1, 4), 4096.0, dtype=dtype)
    found = pushed(stream, Push(0, torch.tensor([[0.0, 0.0, 0.0, 3.0]], dtype=dtype), 0.5))
    assert found.dtype == dtype
    assert found[0, 0].tolist() == [4096.0, 4096.0, 4096.0, 8192.0]


@pytest.mark.parametrize("unit", ["residual", "absolute"])
def test_the_gradient_to_the_vectors_is_the_finite_difference(tiny, unit):
    ids = torch.arange(5, 17).view(2, 6)
    network = tiny.network.double()
    vectors = directions(32, 2).double().requires_grad_()

    def loss(matrix):
        push = Push(1, matrix, torch.tensor([0.5, -1.0]), unit=unit)
        with steering(tiny.blocks, [push]):
            return network(input_ids=ids).logits[:, -1].logsumexp(-1).sum()

    loss(vectors).backward()
    step = 1e-5 * directions(32, 2, seed=7).double()
    with torch.no_grad():
        numeric = (loss(vectors + step) - loss(vectors - step)) / 2
    network.float()
    analytic = (vectors.grad * step).sum()
    assert analytic.abs() > 1e-9
    assert torch.allclose(numeric, analytic, rtol=1e-4)


def test_the_length_of_a_stream_is_a_constant_to_the_gradient():
    stream = torch.randn(1, 2, 4, requires_grad=True)
    pushed(stream, Push(0, torch.ones(1, 4), 2.0)).sum().backward()
    assert torch.equal(stream.grad, torch.ones_like(stream))


def test_gradient_checkpointing_changes_no_gradient_of_two_passes(tiny):
    texts = (torch.arange(5, 11)[None], torch.arange(20, 28)[None])
    found = []
    for checkpointed in (False, True):
        vectors = directions(32).requires_grad_()
        if checkpointed:
            tiny.network.train()
            tiny.network.activation_checkpointing_enable({"use_reentrant": False})
        try:
            push = Push(1, vectors, 2.0, where="generated")
            with steering(tiny.blocks, [push]):
                losses = [tiny.network(input_ids=ids, use_cache=False).logits for ids in texts]
                sum(one.logsumexp(-1).sum() for one in losses).backward()
        finally:
            tiny.network.activation_checkpointing_disable()
            tiny.network.eval()
        found.append(vectors.grad)
    assert found[0].abs().max() > 0
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.parametrize("where", ["all", ((0, 2), (1,), (0,))])
def test_texts_read_together_are_pushed_each_by_its_own(target, where):
    push = Push(1, directions(32, 3), torch.tensor([1.0, -1.0, 0.5]), where=where)
    together = Steered(target, [push]).read(TEXTS, layers=[0, 2])
    for row, (text, reading) in enumerate(zip(TEXTS, together, strict=True)):
        alone = Steered(target, [push.rows([row])]).read(text, layers=[0, 2])
        assert torch.allclose(reading.vectors, alone.vectors, atol=1e-5)
        plain = target.read(text, layers=[0, 2])
        half = len(plain) // 2
        assert torch.allclose(reading.vectors[:half], plain.vectors[:half], atol=1e-5)
        assert not torch.allclose(reading.vectors[half:], plain.vectors[half:], atol=1e-2)


def test_texts_that_begin_alike_or_are_the_same_stay_apart_where_pushes_differ(target):
    texts = [TEXTS[0], TEXTS[0], TEXTS[0] + " Does she like pears?"]
    push = Push(1, directions(32), torch.tensor([1.0, -1.0, 2.0]))
    found = Steered(target, [push]).read(texts, layers=2, positions=slice(0, 3))
    for row, reading in enumerate(found):
        alone = Steered(target, [push.rows([row])]).read(
            texts[row], layers=2, positions=slice(0, 3)
        )
        assert torch.allclose(reading.vectors, alone.vectors, atol=1e-5)
    assert not torch.allclose(found[0].vectors, found[1].vectors, atol=1e-2)


def test_one_prompt_goes_on_at_many_strengths_as_at_each(target):
    vector, strengths = directions(32), torch.tensor([-4.0, 0.0, 4.0])
    chat = [{"role": "user", "content": TEXTS[0]}]
    swept = Steered(target, [Push(1, vector, strengths)]).generate_all([chat] * 3, max_new_tokens=8)
    alone = [
        Steered(target, [Push(1, vector, float(one))]).generate(chat, max_new_tokens=8)
        for one in strengths
    ]
    assert swept == alone
    assert swept[1] == target.generate(chat, max_new_tokens=8)
    assert len(set(swept)) == 3


def test_a_steered_target_says_what_was_added_and_leaves_its_base_alone(target):
    before = target.read(TEXTS[0], layers=2)
    steered = Steered(target, [Push(1, directions(32), 0.5)], name="moon")
    (step,) = steered.read(TEXTS[0], layers=2).provenance.history
    assert step.startswith("moon (")
    assert step.endswith("added after block 1 at all tokens, strength 0.5 (residual)")
    twice = Steered(steered, [Push(2, directions(32), torch.tensor([1.0, 2.0]))])
    assert twice.provenance.history[0] == step
    assert "strength 1 to 2" in twice.provenance.history[1]
    assert torch.equal(target.read(TEXTS[0], layers=2).vectors, before.vectors)
    assert not target.provenance.history


def test_a_store_keeps_steered_readings_apart(target, tmp_path):
    example = Example(target.encode(TEXTS[0]), (1, 2), (2,), "?", "", "t", "s")
    steered = Steered(target, [Push(1, directions(32), 2.0)])
    for one in (target, steered, Steered(target, [Push(1, directions(32), 3.0)])):
        (held,) = ReadingStore(one, tmp_path).vectors([example])
        assert torch.equal(held, one.vectors([example])[0])
