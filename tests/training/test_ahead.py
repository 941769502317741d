"""A thread that works ahead changes nothing: not the order, not an error, not the end."""

import signal
import threading
import time

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from activation_oracles.errors import DataError
from activation_oracles.models.rows import whole_rows
from activation_oracles.oracle.prompt import Template
from activation_oracles.training import loop
from activation_oracles.training.ahead import working_ahead
from activation_oracles.training.loop import train
from activation_oracles.training.parts import lay_out, share_of
from activation_oracles.training.prepare import prepare
from activation_oracles.training.readahead import AHEAD, depth, read
from activation_oracles.training.stopping import StoppedError


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("ahead")]


@pytest.fixture(autouse=True)
def no_thread_left():
    yield
    assert threads() == []


@pytest.fixture
def threaded(config):
    """Return the settings of a run on the CPU that lays out ahead, as one on a GPU does."""
    return config.model_copy(update={"ahead": AHEAD})


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(one.equal(theirs[key]) for key, one in ours.items())


@pytest.mark.parametrize("depth", [0, 1, 3, 50])
def test_results_come_in_order_and_not_too_far_ahead(depth):
    drawn, names = [], set()

    def items():
        for number in range(20):
            drawn.append(number)
            yield number

    def work(number):
        names.add(threading.current_thread().name.partition("_")[0])
        time.sleep(0.002 * (number % 3))
        return number**2

    with working_ahead(depth) as ahead:
        for taken, result in enumerate(ahead(work, items())):
            assert result == taken**2
            assert len(drawn) <= taken + 1 + depth
    assert names == ({"ahead"} if depth else {"MainThread"})


@pytest.mark.parametrize("depth", [0, 3])
def test_an_error_is_raised_where_its_result_would_have_come(depth):
    error = DataError("the fourth is empty")

    def work(number):
        if number == 4:
            raise error
        return number

    with working_ahead(depth) as ahead:
        results = ahead(work, range(20))
        assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(DataError) as caught:
            next(results)
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, DataError])
def test_whatever_ends_the_scope_ends_the_thread(error):
    done = []
    with pytest.raises(error), working_ahead(4) as ahead:  # noqa: PT012
        next(ahead(done.append, range(1000)))
        raise error
    assert len(done) <= 5


def test_a_thread_lays_out_on_a_gpu_and_as_set(config):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert (depth(config, cpu), depth(config, gpu)) == (0, AHEAD)
    for set_to in (0, 3):
        own = config.model_copy(update={"ahead": set_to})
        assert (depth(own, cpu), depth(own, gpu)) == (set_to, set_to)


def test_a_run_that_lays_out_ahead_is_the_run_that_does_not_to_the_bit(config, threaded, tmp_path):
    """Stopped and continued, too; the setting may differ between the two."""
    expected = weights(train(config.model_copy(update={"output": str(tmp_path / "plain")})))
    heard = []

    def stop(found):
        for one in found:
            if one.done == 5 and not heard:
                assert len(threads()) == 1
                heard.append(signal.raise_signal(signal.SIGTERM))
            yield one

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with pytest.raises(StoppedError, match="after step 6"):
        train(threaded, progress=stop)
    signal.signal(signal.SIGTERM, before)
    assert threads() == []
    assert same(weights(train(config.model_copy(update={"resume": True}))), expected)
    again = threaded.model_copy(update={"output": str(tmp_path / "again")})
    assert same(weights(train(again)), expected)


def test_what_fails_in_the_thread_ends_the_run_with_its_own_error(threaded, monkeypatch):
    original = Template.build
    done = []

    def build(*given):
        if len(done) > 1 and threading.current_thread().name.startswith("ahead"):
            raise DataError("The question is empty.")
        return original(*given)

    monkeypatch.setattr(Template, "build", build)
    with pytest.raises(DataError, match="The question is empty"):
        train(threaded, progress=lambda found: map(done.append, found))
    assert done


def test_a_run_that_is_left_in_the_middle_leaves_no_thread(threaded):
    def leave(found):
        yield next(iter(found))

    train(threaded, progress=leave)
    assert threads() == []


class Looked(AssertionError):  # noqa: N818 - not an error of the package
    """The loop looked at a tensor."""


class NoLook(TorchDispatchMode):
    """Refuses what makes a device wait: a number, or a size that depends on one."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal")

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        name = operation._schema.name.partition("::")[2]
        if name in self.WAITS:
            raise Looked(name)
        return operation(*arguments, **(named or {}))


@pytest.mark.parametrize("change", [{}, {"accumulate": 2}, {"gradient_checkpointing": True}])
def test_a_step_looks_at_no_number(config, change):
    run = prepare(config.model_copy(update=change))
    batch = next(run.windows(0))[0]
    share, readings = lay_out(run, batch), read(run, share_of(batch))
    optimizer = torch.optim.AdamW(list(run.parameters.values()), fused=True)
    with whole_rows(), NoLook():
        loss = loop._learn(run, share, readings).loss
        norm = loop._step(optimizer, list(run.parameters.values()), 1e-3, 1.0)
    assert torch.stack([loss, norm]).isfinite().all()
    with pytest.raises(Looked), NoLook():
        float(loss)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_step_on_a_gpu_does_not_wait_for_it(config):
    run = prepare(config.model_copy(update={"device": "cuda"}))
    batch = next(run.windows(0))[0]
    share, readings = lay_out(run, batch), read(run, share_of(batch))
    optimizer = torch.optim.AdamW(list(run.parameters.values()), fused=True)

    def step():
        loop._learn(run, share, readings)
        loop._step(optimizer, list(run.parameters.values()), 1e-3, 1.0)

    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with whole_rows():
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
