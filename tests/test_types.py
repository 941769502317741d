from dataclasses import replace

import pytest
import torch

from activation_oracles.errors import DataError, MismatchError
from activation_oracles.types import Activations, Example


def own(seed=0, layer=3, slots=4):
    vectors = torch.randn((slots, 8), generator=torch.Generator().manual_seed(seed))
    return Activations.own(vectors, layer=layer, note=f"seed {seed}")


def test_saved_activations_load_back_whole(tmp_path):
    reading = own()[1:3]
    reading.save(tmp_path / "a.safetensors")
    again = Activations.load(tmp_path / "a.safetensors")
    assert torch.equal(again.vectors, reading.vectors)
    for field in ("layers", "positions", "token_ids", "pieces", "roles", "provenance"):
        assert getattr(again, field) == getattr(reading, field)


def test_a_file_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("no", encoding="utf-8")
    save_file({"weights": torch.ones(1)}, tmp_path / "weights")
    for name in ("text", "weights", "missing"):
        with pytest.raises(DataError, match="not a file of saved activations"):
            Activations.load(tmp_path / name)


def test_slices_keep_order_and_write_history():
    reading = own()
    part = reading[-2:]
    assert torch.equal(part.vectors, reading.vectors[-2:])
    assert part.positions == (2, 3)
    assert part.provenance.history == ("own vectors: seed 0", "slots [2, 3]")
    assert len(reading[1]) == 1


def test_a_layer_or_position_that_was_not_read_is_refused():
    with pytest.raises(DataError, match=r"hold layers \[3\]; \[5\] were not read"):
        own().at(layers=(5,))
    with pytest.raises(DataError, match=r"\[9\] were not read"):
        own().at(positions=(0, 9))


def test_a_difference_subtracts_and_remembers_both_sides():
    difference = own(1) - own(2)
    assert torch.equal(difference.vectors, own(1).vectors - own(2).vectors)
    assert "seed 2" in difference.provenance.history[-1]


def test_a_difference_knows_how_strong_it_is_beside_what_was_subtracted(tmp_path):
    after, before = own(1), own(2)
    difference = after - before
    expected = (after.vectors - before.vectors).norm(dim=-1) / before.vectors.norm(dim=-1)
    assert difference.relative_strengths == pytest.approx(expected.tolist())
    assert f"median relative strength {expected.sort().values[1:3].mean():.3g}" in repr(difference)
    difference.save(tmp_path / "d.safetensors")
    again = Activations.load(tmp_path / "d.safetensors")
    assert again.relative_strengths == difference.relative_strengths
    assert again.provenance == difference.provenance
    assert difference[2].relative_strengths == difference.relative_strengths[2:3]
    assert (
        difference.at(positions=(1, 3)).relative_strengths == (difference.relative_strengths[1::2])
    )


def test_what_is_no_difference_has_no_relative_strength(tmp_path):
    reading = own()
    nothing = reading.with_vectors(torch.zeros(4, 8), "nothing")
    for one in (reading, reading[1:], reading - nothing):
        one.save(tmp_path / "a.safetensors")
        assert one.relative_strengths is None
        assert Activations.load(tmp_path / "a.safetensors").relative_strengths is None
        assert "strength" not in repr(one)


def test_a_second_subtraction_stays_relative_to_the_stream_of_the_first():
    first, second = own(1) - own(2), own(3) - own(4)
    streams = own(2).vectors.norm(dim=-1)
    for twice, vectors in (
        (first - second, first.vectors - second.vectors),
        (first - own(5), first.vectors - own(5).vectors),
        (own(5) - first, own(5).vectors - first.vectors),
    ):
        expected = vectors.norm(dim=-1) / streams
        assert twice.relative_strengths == pytest.approx(expected.tolist())


def test_other_vectors_in_a_difference_are_as_strong_as_they_are_long():
    difference = own(1) - own(2)
    half = difference.with_vectors(difference.vectors / 2, "halved")
    expected = [one / 2 for one in difference.relative_strengths]
    assert half.relative_strengths == pytest.approx(expected)


def test_lengths_of_other_slots_are_refused():
    with pytest.raises(DataError, match="3 lengths"):
        replace(own(), stream_lengths=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("other", [{"layer": 2}, {"slots": 3}])
def test_a_difference_of_unlike_readings_is_refused(other):
    with pytest.raises(MismatchError, match="same layers and slots"):
        own() - own(**other)


def test_own_vectors_that_are_not_finite_are_refused():
    with pytest.raises(DataError, match=r"finite \[slot, d_model\]"):
        Activations.own(torch.full((1, 3), torch.inf), layer=0, note="wrong")


@pytest.mark.parametrize(
    "wrong", [{"positions": ()}, {"layers": ()}, {"question": ""}, {"positions": (3,)}]
)
def test_an_example_that_cannot_be_read_is_refused(wrong):
    fields = {"context": (1, 2, 3), "positions": (0,), "layers": (1,), "question": "q"}
    with pytest.raises(DataError):
        Example(**(fields | wrong), answer="a", task="t", source="s")


@pytest.mark.parametrize(
    "shown", ["", "zeros", "own:mine", "own:../mine.safetensors#1", "own:a#-1"]
)
def test_an_example_that_shows_what_nobody_knows_is_refused(shown):
    with pytest.raises(DataError, match="own:FILE#ROW"):
        Example((), (0,), (1,), "q", "a", "t", "s", shown)


def test_an_example_that_is_no_reading_needs_no_text():
    for shown in ("nothing", "random", "mean", "own:mine.safetensors#12"):
        assert Example((), (0, 1), (1,), "q", "a", "t", "s", shown).shown == shown
    with pytest.raises(DataError, match="positions"):
        Example((), (0, 1), (1,), "q", "a", "t", "s")
