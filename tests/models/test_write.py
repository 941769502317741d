import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from activation_oracles.errors import MismatchError
from activation_oracles.models.blocks import DecoderBlocks
from activation_oracles.models.load import load
from activation_oracles.models.read import read
from activation_oracles.models.write import Writing, injecting, norm_matched

SLOTS = ([0, 0, 1], [1, 3, 2])


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


def writing(width, **changes):
    generator = torch.Generator().manual_seed(3)
    rows, columns = (torch.tensor(part) for part in SLOTS)
    vectors = torch.randn((3, width), generator=generator) * 7
    return Writing(rows, columns, vectors, num_rows=2, **changes)


def streams(model, ids, layer):
    return read(model.network, model.blocks, ids, torch.ones_like(ids), layers=[layer])[layer]


@pytest.mark.parametrize("mode", ["add", "replace"])
def test_every_family_is_written_by_the_closed_form_and_nowhere_else(family, mode):
    ids = torch.arange(5, 17).view(2, 6)
    before = streams(family, ids, 1)
    what = writing(family.width, strength=2.0, mode=mode)
    with injecting(family.blocks, 1, what):
        after = streams(family, ids, 1)
    h, v = before[SLOTS], what.vectors
    written = 2.0 * h.norm(dim=-1, keepdim=True) * v / v.norm(dim=-1, keepdim=True)
    expected = before.clone()
    expected[SLOTS] = h + written if mode == "add" else written
    assert torch.allclose(after, expected, atol=1e-5)


def test_overwriting_puts_vectors_there_as_they_are(tiny):
    ids = torch.arange(5, 17).view(2, 6)
    what = writing(tiny.width, strength=2.0, mode="overwrite")
    expected = streams(tiny, ids, 1).clone()
    expected[SLOTS] = what.vectors
    with injecting(tiny.blocks, 1, what):
        assert torch.equal(streams(tiny, ids, 1), expected)


@pytest.mark.parametrize("mode", ["add", "replace"])
def test_a_strength_each_is_as_one_for_all_where_they_are_equal(tiny, mode):
    ids = torch.arange(5, 17).view(2, 6)
    found = []
    for strength in (2.0, torch.full((3,), 2.0)):
        with injecting(tiny.blocks, 1, writing(tiny.width, strength=strength, mode=mode)):
            found.append(streams(tiny, ids, 1))
    assert torch.equal(*found)


def test_every_slot_is_written_at_its_own_strength_in_chunks_too(tiny):
    ids = torch.arange(5, 17).view(2, 6)
    before = streams(tiny, ids, 1)
    strength = torch.tensor([0.0, 0.5, 3.0])
    what = writing(tiny.width, strength=strength)
    with injecting(tiny.blocks, 1, what):
        after = streams(tiny, ids, 1)
    added = (after - before)[SLOTS].norm(dim=-1) / before[SLOTS].norm(dim=-1)
    assert torch.equal(after[0, 1], before[0, 1])
    assert torch.allclose(added, strength, atol=1e-5)
    cached = generated(tiny, what, ids)
    assert generated(tiny, what, ids, prefill_chunk_size=2) == cached


def test_a_strength_each_leaves_the_gradient_as_it_is(tiny):
    ids = torch.arange(5, 17).view(2, 6)
    what = writing(tiny.width)
    found = []
    for strength in (1.0, torch.ones(3)):
        vectors = what.vectors.clone().requires_grad_()
        one = Writing(what.rows, what.columns, vectors, 2, strength=strength)
        with injecting(tiny.blocks, 1, one):
            tiny.network(input_ids=ids).logits.logsumexp(-1).sum().backward()
        found.append(vectors.grad)
    assert found[0].abs().max() > 0
    assert torch.equal(*found)


def generated(model, what, ids, **settings):
    """Return greedy ids and how often each slot's stream was changed."""
    config = model.decoding(5)
    for name, value in settings.items():
        setattr(config, name, value)
    with injecting(model.blocks, 1, what), torch.no_grad():
        return model.generate(ids, torch.ones_like(ids), config).tolist()


def test_every_family_generates_alike_with_and_without_cache_and_in_chunks(family):
    ids = torch.arange(5, 17).view(2, 6)
    what = writing(family.width, strength=5.0)
    cached = generated(family, what, ids)
    assert generated(family, what, ids, use_cache=False) == cached
    assert generated(family, what, ids, prefill_chunk_size=1) == cached
    assert generated(family, what, ids, prefill_chunk_size=4) == cached


def test_what_is_written_reaches_the_logits_in_generation_and_in_one_pass(family):
    ids = torch.arange(5, 17).view(2, 6)
    what = writing(family.width, strength=5.0)
    with torch.no_grad():
        bare = family.network(input_ids=ids).logits
        with injecting(family.blocks, 1, what):
            written = family.network(input_ids=ids).logits
    assert not torch.allclose(bare[:, -1], written[:, -1])
    assert torch.equal(bare[0, 0], written[0, 0])


@pytest.mark.parametrize(("mode", "passed_on"), [("add", 1.0), ("replace", 0.0)])
def test_how_loudly_a_vector_is_written_is_a_constant_to_the_gradient(mode, passed_on):
    generator = torch.Generator().manual_seed(5)
    stream = torch.randn((3, 8), generator=generator).requires_grad_()
    vectors = torch.randn((3, 8), generator=generator).requires_grad_()
    weights = torch.randn((3, 8), generator=generator)
    (weights * norm_matched(stream, vectors, strength=2.0, mode=mode)).sum().backward()
    # As published: the stream's own gradient is what it would be with nothing written.
    assert torch.equal(
        torch.zeros(3, 8) if stream.grad is None else stream.grad, passed_on * weights
    )


def test_the_gradient_to_a_vector_is_the_finite_difference(tiny):
    ids = torch.arange(5, 17).view(2, 6)
    model = tiny.network.double()
    what = writing(tiny.width)
    vectors = what.vectors.double().requires_grad_()

    def loss(matrix):
        with injecting(tiny.blocks, 1, Writing(what.rows, what.columns, matrix, 2)):
            return model(input_ids=ids).logits[:, -1].logsumexp(-1).sum()

    # Norms are taken in fp32, so differences are taken over steps that fp32 resolves.
    loss(vectors).backward()
    direction = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0)).double()
    step = 1e-2
    with torch.no_grad():
        high, low = loss(vectors + step * direction), loss(vectors - step * direction)
    numeric = (high - low) / (2 * step)
    analytic = (vectors.grad * direction).sum()
    model.float()
    assert analytic.abs() > 1e-4
    assert torch.allclose(numeric, analytic, rtol=1e-2)


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_no_gradient(tiny, reentrant):
    ids = torch.arange(5, 17).view(2, 6)
    what = writing(tiny.width)

    def gradients():
        vectors = what.vectors.clone().requires_grad_()
        weight = tiny.network.get_input_embeddings().weight
        weight.requires_grad = True
        weight.grad = None
        with injecting(tiny.blocks, 1, Writing(what.rows, what.columns, vectors, 2)):
            tiny.network(input_ids=ids, use_cache=False).logits.logsumexp(-1).sum().backward()
        weight.requires_grad = False
        return vectors.grad, weight.grad.clone()

    plain = gradients()
    tiny.network.train()
    tiny.network.activation_checkpointing_enable({"use_reentrant": reentrant})
    try:
        checkpointed = gradients()
    finally:
        tiny.network.activation_checkpointing_disable()
        tiny.network.eval()
    for ours, theirs in zip(checkpointed, plain, strict=True):
        assert theirs.abs().max() > 0
        assert torch.allclose(ours, theirs, atol=1e-5)


class Trunk(nn.Module):
    """Two blocks, each checkpointed as a whole, so that its hooks run again in the backward."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(2))
        self.reentrant: bool | None = None

    def forward(self, stream):
        for block in self.layers:
            if self.reentrant is None:
                stream = block(stream)
            else:
                stream = checkpoint(block, stream, use_reentrant=self.reentrant)
        return stream


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_block_that_is_run_again_in_the_backward_is_written_again_and_not_counted(reentrant):
    trunk = Trunk()
    blocks = DecoderBlocks(trunk, tuple(trunk.layers), "layers")
    stream, what = torch.randn(2, 6, 8), writing(8)
    runs = []
    trunk.layers[0].register_forward_hook(lambda *_: runs.append(1))

    def gradients(setting):
        trunk.reentrant = setting
        given = stream.clone().requires_grad_()
        trunk.zero_grad()
        with injecting(blocks, 0, what):
            trunk(given).square().sum().backward()
        return [given.grad, *(parameter.grad.clone() for parameter in trunk.parameters())]

    plain = gradients(None)
    assert len(runs) == 1
    again = gradients(reentrant)
    assert len(runs) == 3
    for ours, theirs in zip(again, plain, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_slot_beyond_the_text_is_missed_and_said_so(tiny):
    beyond = Writing(torch.tensor([0]), torch.tensor([9]), torch.ones(1, tiny.width), num_rows=1)
    ids = torch.arange(4)[None]
    with (
        pytest.raises(MismatchError, match="1 of 1 slots were never written"),
        injecting(tiny.blocks, 1, beyond),
        torch.no_grad(),
    ):
        tiny.network(input_ids=ids)


def test_a_block_that_runs_twice_in_one_pass_is_refused(tiny):
    class Twice(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, stream, **named):
            return self.block(self.block(stream, **named), **named)

    layers = tiny.network.model.layers
    original = layers[1]
    layers[1] = Twice(original)
    try:
        with (
            pytest.raises(MismatchError, match="written twice"),
            injecting(tiny.blocks, 1, writing(tiny.width)),
            torch.no_grad(),
        ):
            tiny.network(input_ids=torch.arange(12).view(2, 6), use_cache=False)
    finally:
        layers[1] = original


def test_a_batch_of_another_size_is_refused(tiny):
    with (
        pytest.raises(MismatchError, match="for 2 sequences, the model runs 1"),
        injecting(tiny.blocks, 1, writing(tiny.width)),
        torch.no_grad(),
    ):
        tiny.network(input_ids=torch.arange(6)[None])


def test_two_vectors_for_one_slot_and_nan_are_refused():
    place = torch.tensor([0, 0])
    with pytest.raises(MismatchError, match="different slots"):
        Writing(place, place, torch.ones(2, 4), num_rows=1)
    with pytest.raises(MismatchError, match="NaN"):
        Writing(torch.tensor([0, 1]), place, torch.full((2, 4), torch.nan), num_rows=2)


def test_a_zero_vector_adds_nothing():
    stream = torch.randn(2, 4)
    assert torch.equal(norm_matched(stream, torch.zeros(2, 4)), stream)


def test_a_failed_pass_leaves_no_hook(tiny):
    before = len(tiny.blocks.stack[1]._forward_hooks), len(tiny.blocks.trunk._forward_pre_hooks)
    with pytest.raises(RuntimeError, match="mine"), injecting(tiny.blocks, 1, writing(tiny.width)):
        raise RuntimeError("mine")
    after = len(tiny.blocks.stack[1]._forward_hooks), len(tiny.blocks.trunk._forward_pre_hooks)
    assert after == before
