import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.models.load import load
from activation_oracles.models.read import logits_only_at, read, recording
from activation_oracles.models.rows import whole_rows
from activation_oracles.models.target import Target
from activation_oracles.types import Example

WITHIN = 1e-5


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return load(str(tiny_model), dtype="float32", device="cpu")


def test_every_family_reads_bit_equal_to_its_own_hidden_states(family):
    ids = torch.arange(5, 17).view(2, 6)
    mask = torch.ones_like(ids)
    ours = read(family.network, family.blocks, ids, mask, layers=[0, 2])
    with torch.no_grad():
        theirs = family.network(input_ids=ids, output_hidden_states=True, use_cache=False)
    for layer in (0, 2):
        assert torch.equal(ours[layer], theirs.hidden_states[layer + 1])  # [0] is the embedding


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_family_s_reading(family, side):
    texts = [list(range(5, 14)), list(range(30, 34))]
    width = 12
    ids = torch.zeros((2, width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        place = slice(width - len(text), width) if side == "left" else slice(0, len(text))
        ids[row, place] = torch.tensor(text)
        mask[row, place] = 1
    padded = read(family.network, family.blocks, ids, mask, layers=[1, 3])
    for row, text in enumerate(texts):
        alone = torch.tensor([text])
        single = read(family.network, family.blocks, alone, torch.ones_like(alone), layers=[1, 3])
        for layer in (1, 3):
            assert torch.allclose(
                padded[layer][row][mask[row].bool()], single[layer][0], atol=WITHIN, rtol=0
            )


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(st.integers(0, 389), min_size=1, max_size=20), min_size=1, max_size=6))
def test_a_batch_of_any_texts_reads_like_each_alone(tiny, contexts):
    examples = [
        Example(tuple(c), (0, len(c) - 1) if len(c) > 1 else (0,), (1, 2), "q", "a", "t", "s")
        for c in contexts
    ]
    target = Target(tiny)
    for example, batched in zip(examples, target.vectors(examples), strict=True):
        alone = target.vectors([example])[0]
        assert batched.shape == (2 * len(example.positions), tiny.width)
        assert torch.allclose(batched, alone, atol=WITHIN, rtol=0)


def test_a_text_that_another_begins_with_is_read_there(tiny):
    text = tuple(range(5, 25))
    places = [(20, 0), (12, 2), (20, 2), (7, 1)]
    examples = [
        Example(text[:end], (0, end - 1), (layer,), "q", "a", "t", "s") for end, layer in places
    ]
    other = Example((9, *text), (3,), (0,), "q", "a", "t", "s")
    ran = []
    handle = tiny.blocks.trunk.register_forward_pre_hook(
        lambda _module, _inputs, named: ran.append(tuple(named["input_ids"].shape)),
        with_kwargs=True,
    )
    found = Target(tiny).vectors([*examples, other])
    handle.remove()
    assert sorted(ran) == [(1, 20), (1, 21)]
    for example, vectors in zip([*examples, other], found, strict=True):
        alone = Target(tiny).vectors([example])[0]
        assert torch.allclose(vectors, alone, atol=WITHIN, rtol=0)


def test_rows_are_whole_texts_wherever_positions_restart(tiny):
    """Inside the scope alone: elsewhere transformers keeps apart what it takes for two texts."""
    ids = torch.arange(5, 13)[None]
    restarting = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])

    def last():
        with torch.no_grad():
            return tiny.network(ids, position_ids=restarting, use_cache=False).logits[0, -1]

    apart = last()
    with whole_rows():
        whole = last()
    assert not torch.allclose(whole, apart)
    assert torch.equal(last(), apart)


def test_blocks_above_the_deepest_layer_do_not_run(tiny):
    ran = []
    handles = [
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
        for i, block in enumerate(tiny.blocks.stack)
    ]
    ids = torch.arange(4)[None]
    read(tiny.network, tiny.blocks, ids, torch.ones_like(ids), layers=[1])
    for handle in handles:
        handle.remove()
    assert ran == [0, 1]


def test_a_failed_pass_leaves_no_hook_and_the_mode_it_found(tiny):
    before = [len(block._forward_hooks) for block in tiny.blocks.stack]
    tiny.network.train()
    ids = torch.tensor([[5, 100_000]])
    with pytest.raises(IndexError):
        read(tiny.network, tiny.blocks, ids, torch.ones_like(ids), layers=[1])
    assert tiny.network.training
    tiny.network.eval()
    assert [len(block._forward_hooks) for block in tiny.blocks.stack] == before


def test_slots_are_layer_major_and_know_their_token(tiny):
    reading = Target(tiny).read("The old mill stands.", layers=[2, 0], positions=slice(1, 4))
    assert reading.layers == (2, 2, 2, 0, 0, 0)
    assert reading.positions == (1, 2, 3, 1, 2, 3)
    assert "".join(reading.pieces) == "The old mill stands."
    assert reading.vectors.shape == (6, tiny.width)


@pytest.mark.parametrize("layers", [[4], [-1], []])
def test_a_layer_that_is_not_there_is_refused_by_name(tiny, layers):
    with pytest.raises(ConfigError, match="blocks 0 to 3"), recording(tiny.blocks, layers):
        pass


def test_an_empty_text_is_refused(tiny):
    with pytest.raises(DataError, match="empty"):
        Target(tiny).read("", layers=0)


def test_logits_at_chosen_places_are_those_of_the_full_pass(family):
    ids = torch.arange(5, 17).view(2, 6)
    rows, columns = torch.tensor([0, 1, 1]), torch.tensor([5, 0, 3])
    with torch.no_grad():
        full = family.network(input_ids=ids, use_cache=False).logits
        with logits_only_at(family.network, rows, columns):
            chosen = family.network(input_ids=ids, use_cache=False).logits
    assert torch.allclose(chosen[0], full[rows, columns], atol=WITHIN, rtol=0)
