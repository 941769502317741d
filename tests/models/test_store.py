"""What is held is what was read, to the bit, whoever asks, dies, writes or damages."""

import multiprocessing
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig

from activation_oracles.errors import DataError
from activation_oracles.models import store as module
from activation_oracles.models.keys import Index, keys_of
from activation_oracles.models.load import load
from activation_oracles.models.store import ReadingStore
from activation_oracles.models.target import Target
from activation_oracles.types import Example

WITHIN = 1e-5


class KilledError(BaseException):
    """The machine went away."""


@pytest.fixture(scope="module")
def target(tiny_model):
    return Target(load(str(tiny_model), dtype="float32", device="cpu"))


@pytest.fixture
def silent(tiny_model):
    """Return a target, equal to the other, that cannot read."""
    model = load(str(tiny_model), dtype="float32", device="cpu")
    model.blocks.trunk.register_forward_pre_hook(_refuse)
    return Target(model)


def _refuse(*_):
    raise AssertionError("the model ran")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "readings"


def example(context, positions, layers=(1, 2)):
    return Example(tuple(context), tuple(positions), layers, "q", "a", "t", "s")


EXAMPLES = [
    example(range(5, 17), (3, 11), (2,)),
    example(range(5, 17), (11,), (0, 2)),
    example(range(40, 49), (8, 2)),
    example(range(90, 97), (0, 1, 6), (1,)),
]
NUM_VECTORS = 10
"""Different ones: the first two texts share one."""


def files(folder):
    return sorted(folder.rglob("*.safetensors"))


def equal(ours, theirs):
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def test_what_is_kept_is_what_a_target_reads_to_the_bit(target, silent, folder):
    expected = target.vectors(EXAMPLES)
    store = ReadingStore(target, folder)
    assert equal(store.vectors(EXAMPLES), expected)
    assert equal(store.vectors(EXAMPLES), expected)
    again = ReadingStore(silent, folder)
    assert again.num_vectors == store.num_vectors == NUM_VECTORS
    assert equal(again.vectors(EXAMPLES), expected)
    assert equal(again.vectors(EXAMPLES[::-1]), expected[::-1])
    assert again.vectors([]) == []
    assert len(files(folder)) == 1


def test_what_was_read_in_other_company_is_near_and_stays_as_it_is(target, silent, folder):
    store = ReadingStore(target, folder)
    held = [store.vectors([one])[0] for one in EXAMPLES]
    for ours, theirs in zip(held, target.vectors(EXAMPLES), strict=True):
        assert torch.allclose(ours, theirs, atol=WITHIN, rtol=0)
    assert equal(ReadingStore(silent, folder).vectors(EXAMPLES), held)


def test_texts_that_begin_alike_share_what_they_begin_with(target, silent, folder):
    ReadingStore(target, folder).vectors([example(range(5, 17), range(12))])
    store = ReadingStore(silent, folder)
    store.vectors([example(range(5, 12), (6, 0)), example([*range(5, 10), 99], (4,))])
    for other in (example([*range(5, 10), 99], (5,)), example([9, *range(5, 10)], (3,))):
        with pytest.raises(AssertionError, match="ran"):
            store.vectors([other])


def test_two_texts_read_at_once_give_one_vector_where_they_begin_alike(target, silent, folder):
    alike = [example([*range(5, 10), end], (4,)) for end in (30, 31, 32)]
    first = ReadingStore(target, folder).vectors(alike)
    assert torch.equal(first[0], first[2])
    assert equal(ReadingStore(silent, folder).vectors(alike), first)


def test_a_vector_that_is_missing_is_read_and_the_others_of_its_text_are_not(target, folder):
    store = ReadingStore(target, folder)
    held = store.vectors([example(range(5, 17), (3, 7))])[0]
    more = store.vectors([example(range(5, 17), (3, 5, 7))])[0]
    assert torch.equal(more.unflatten(0, (2, 3))[:, [0, 2]].flatten(0, 1), held)
    assert store.num_vectors == 6


def test_other_layers_adapters_weights_and_kernels_are_other_readings(tiny_model, folder):
    def opened(**how):
        return Target(load(str(tiny_model), device="cpu", **{"dtype": "float32", **how}))

    bare = opened()
    ReadingStore(bare, folder).vectors(EXAMPLES)
    lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    tuned = Target(bare.model, bare.model.new_adapter(lora, name="tuned"))
    other = opened()
    other.model.network.lm_head.weight.data += 1
    turned = opened()
    turned.model.network.config.rope_parameters["rope_theta"] = 5e5
    readers = [tuned, other, turned, opened(dtype="bfloat16"), opened(attention="eager")]
    stores = [ReadingStore(one, folder) for one in readers]
    assert [one.num_vectors for one in stores] == [0] * len(readers)
    assert equal(stores[0].vectors(EXAMPLES), tuned.vectors(EXAMPLES))
    assert not equal(stores[0].vectors(EXAMPLES), bare.vectors(EXAMPLES))
    assert ReadingStore(opened(), folder).num_vectors == NUM_VECTORS
    assert len(list(folder.iterdir())) == 1 + len(readers)


def test_half_precision_keeps_its_bits(tiny_model, folder):
    half = Target(load(str(tiny_model), dtype="bfloat16", device="cpu"))
    expected = ReadingStore(half, folder).vectors(EXAMPLES)
    assert expected[0].dtype == torch.bfloat16
    assert equal(expected, half.vectors(EXAMPLES))
    assert equal(ReadingStore(half, folder).vectors(EXAMPLES), expected)


def test_what_a_target_does_not_read_is_refused(target, folder):
    with pytest.raises(DataError, match="'mean', which no model reads"):
        ReadingStore(target, folder).vectors([*EXAMPLES, replace(EXAMPLES[0], shown="mean")])


def test_a_process_that_dies_while_it_writes_leaves_nothing_that_counts(
    target, folder, monkeypatch
):
    def die(_tensors, path, _about):
        path.write_bytes(b"half a fi")
        shutil.copy(path, path.with_name(".left by a process that was killed.safetensors"))
        raise KilledError

    store = ReadingStore(target, folder)
    with monkeypatch.context() as patch:
        patch.setattr(module, "save_file", die)
        with pytest.raises(KilledError):
            store.vectors(EXAMPLES)
    again = ReadingStore(target, folder)
    assert again.num_vectors == 0
    assert equal(again.vectors(EXAMPLES), target.vectors(EXAMPLES))


@pytest.mark.parametrize("damage", ["cut short", "one bit", "gone", "another target's"])
def test_a_damaged_file_is_named_and_what_it_held_is_read_again(target, silent, folder, damage):
    expected = ReadingStore(target, folder).vectors(EXAMPLES)
    store = ReadingStore(silent, folder)
    (path,) = files(folder)
    held = path.read_bytes()
    if damage == "another target's":
        path.write_bytes(held.replace(b"fingerprint", b"thumb print"))
        store = None
    elif damage == "one bit":
        # Among the vectors, which lie last.
        path.write_bytes(held[:-40] + bytes([held[-40] ^ 4]) + held[-39:])
    else:
        path.unlink()
        if damage == "cut short":
            path.write_bytes(held[:-40])
    with pytest.raises(DataError, match=rf"{path.name} is damaged.*Delete it"):
        (store or ReadingStore(silent, folder)).vectors(EXAMPLES)
    path.unlink(missing_ok=True)
    assert equal(ReadingStore(target, folder).vectors(EXAMPLES), expected)


def test_what_others_keep_meanwhile_is_seen_and_the_first_of_two_readings_stands(
    target, silent, folder, monkeypatch
):
    ours, theirs, late = (ReadingStore(target, folder) for _ in range(3))
    monkeypatch.setattr(late, "_look", lambda: False)
    first = ours.vectors(EXAMPLES[:2])
    assert equal(ReadingStore(silent, folder).vectors(EXAMPLES[:2]), first)
    assert equal(theirs.vectors(EXAMPLES)[:2], first)
    # Has not seen the others' files, and so writes what they hold again.
    late.vectors(EXAMPLES[:1])
    assert len(files(folder)) == 3
    again = ReadingStore(silent, folder)
    assert equal(again.vectors(EXAMPLES), theirs.vectors(EXAMPLES))


def test_a_store_says_how_much_it_will_grow_and_refuses_what_has_no_room(
    target, silent, folder, monkeypatch
):
    store = ReadingStore(silent, folder)
    size = store.expect(EXAMPLES)
    assert size == NUM_VECTORS * (32 * 4 + 24)
    assert store.expect(EXAMPLES, times=2.5) == int(2.5 * size)
    ReadingStore(target, folder, max_gib=(size - 1) / 2**30).vectors(EXAMPLES[:1])
    tight = ReadingStore(target, folder, max_gib=(size - 1) / 2**30)
    for work in (tight.expect, tight.vectors):
        with pytest.raises(DataError, match=r"exceed its limit of .* GiB. Raise the limit"):
            work(EXAMPLES)
    assert len(files(folder)) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
        with pytest.raises(DataError, match="do not fit on the disk"):
            ReadingStore(silent, folder).expect(EXAMPLES)
    roomy = ReadingStore(target, folder, max_gib=1)
    roomy.vectors(EXAMPLES)
    assert roomy.expect(EXAMPLES) == 0


def test_a_full_disk_is_an_error_with_a_way_out(target, folder):
    store = ReadingStore(target, folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataError, match="make room and go on"):
            store.vectors(EXAMPLES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(folder) == []
    assert equal(store.vectors(EXAMPLES), target.vectors(EXAMPLES))


def test_a_folder_that_cannot_be_made_is_an_error(target, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot hold readings"):
        ReadingStore(target, tmp_path / "file")


def test_an_index_finds_every_key_where_it_was_first():
    texts = [example((number,), (0,), (0,)) for number in range(3, 300)]
    _, keys = keys_of(texts)
    index = Index()
    for start in range(0, 297, 11):
        index.add(keys[start : start + 11], np.arange(start, start + 11))
    index.add(keys[33:44], np.arange(1033, 1044))
    assert len(index) == 297 + 11
    found = index.find(keys)
    assert found.tolist() == list(range(297))
    assert index.find(keys_of([example((2,), (0,), (0,))])[1]).tolist() == [-1]


def fill(model, folder, order):
    torch.set_num_threads(1)
    target = Target(load(model, dtype="float32", device="cpu"))
    store = ReadingStore(target, folder)
    texts = [example(range(n, n + 3 + n % 9), (2, 0)) for n in range(3, 83)]
    for start in range(0, 80, 4):
        store.vectors([texts[(order * n) % 80] for n in range(start, start + 4)])


@pytest.mark.slow
def test_processes_that_fill_a_store_at_once_leave_it_whole(tiny_model, target, silent, folder):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["activation_oracles.models.store"])
    workers = [
        context.Process(target=fill, args=(str(tiny_model), folder, order)) for order in (1, 7, 79)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    texts = [example(range(n, n + 3 + n % 9), (2, 0)) for n in range(3, 83)]
    held = ReadingStore(silent, folder).vectors(texts)
    for ours, theirs in zip(held, target.vectors(texts), strict=True):
        assert torch.allclose(ours, theirs, atol=WITHIN, rtol=0)
    assert not list(folder.rglob(".*"))
