"""Whatever ends a run, nothing saved is lost, the message says what to do, and resume is exact."""

import multiprocessing
import random
import resource
import signal
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.cli.main import main
from activation_oracles.errors import ConfigError, DataError, OracleError
from activation_oracles.training import checkpoint, loop, together
from activation_oracles.training.loop import steps, train
from activation_oracles.training.prepare import prepare
from activation_oracles.training.stopping import StoppedError, listening


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def same(ours, theirs) -> bool:
    return ours.keys() == theirs.keys() and all(one.equal(theirs[key]) for key, one in ours.items())


def after(step, act):
    """Return a progress that does something after a step."""

    def watch(found):
        for one in found:
            if one.done == step:
                act()
            yield one

    return watch


@pytest.fixture(autouse=True)
def signals_heard():
    """Hear both signals: what a shell runs in the background begins with Ctrl-C ignored."""
    heard = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def short(config):
    """Return settings for four steps with dropout, that save after the second and the last."""
    return config.model_copy(
        update={"max_steps": 4, "evaluate_examples": 0, "save_every": 2, "log_every": 1}
    )


@pytest.fixture
def resumed(short):
    return short.model_copy(update={"resume": True})


@pytest.fixture(scope="module")
def memory():
    return {}


@pytest.fixture
def undisturbed(short, memory, tmp_path):
    """Return the weights that an undisturbed run ends in; made once."""
    if not memory:
        memory.update(weights(train(short.model_copy(update={"output": str(tmp_path / "whole")}))))
    return memory


def test_a_run_that_is_told_to_end_saves_and_goes_on_to_the_same_weights(
    short, resumed, undisturbed
):
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(
        StoppedError, match=r"SIGINT after step 1 of 4.*config\.yaml --resume"
    ) as stop:
        train(short, progress=lambda found: _signalled(found, signal.SIGINT))
    assert stop.value.number == signal.SIGINT
    with pytest.raises(StoppedError, match="SIGTERM after step 3"):
        train(resumed, progress=after(2, lambda: signal.raise_signal(signal.SIGTERM)))
    assert handlers == [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    assert same(weights(train(resumed)), undisturbed)


def _signalled(found, number):
    signal.raise_signal(number)
    yield from found


def test_the_command_ends_as_a_shell_reports_a_signal(short, tmp_path, monkeypatch, capfd):
    def learn(*arguments):
        signal.raise_signal(signal.SIGTERM)
        return original(*arguments)

    original = loop._learn
    monkeypatch.setattr(loop, "_learn", learn)
    short.save(tmp_path / "run.yaml")
    with pytest.raises(SystemExit) as stop:
        main(["train", "--config", str(tmp_path / "run.yaml")])
    assert stop.value.code == 143
    said = capfd.readouterr().err
    assert said.count("saves and stops") == 1
    assert said.count("ao train: stopped by SIGTERM after step 1 of 4") == 1


def test_a_second_ctrl_c_ends_at_once():
    with pytest.raises(KeyboardInterrupt), listening() as heard:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        assert heard() == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so_and_other_threads_take_none():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with listening() as heard:
            signal.raise_signal(signal.SIGTERM)
            assert heard() == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    found = []

    def listen():
        with listening() as heard:
            found.extend((signal.getsignal(signal.SIGTERM), heard()))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [before, 0]


@pytest.mark.parametrize("full", ["checkpoints/step-000000004", "metrics.jsonl"])
def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on(
    short, resumed, undisturbed, disk, full, tmp_path
):
    metrics = tmp_path / "run" / "metrics.jsonl"

    def fill():
        disk(metrics.stat().st_size + 20 if full == metrics.name else 4096)

    with pytest.raises(DataError, match=rf"run/{full} cannot be written.*large.*make room"):
        train(short, progress=after(3, fill))
    disk(resource.RLIM_INFINITY)
    kept = [one.name for one in (tmp_path / "run" / "checkpoints").iterdir()]
    assert kept == ["step-000000002"]
    assert same(weights(train(resumed)), undisturbed)
    lines = metrics.read_text().splitlines()
    assert [line[:10] for line in lines if "loss" in line] == [
        f'{{"step": {n}' for n in range(1, 5)
    ]


@pytest.mark.parametrize("poisoned", ["loss", "gradient"])
def test_a_run_whose_loss_is_no_number_stops_and_keeps_sound_weights(short, poisoned, monkeypatch):
    run = prepare(short)
    one = next(iter(run.parameters.values()))

    def poison():
        if poisoned == "loss":
            one.data.fill_(torch.nan)
        else:
            monkeypatch.setattr(loop, "_add_gradients", lambda _: one.grad.fill_(torch.inf))

    with pytest.raises(ConfigError, match=r"up to 4: the run has diverged.*another `output`"):
        for _ in after(3, poison)(steps(run)):
            pass
    kept = checkpoint.latest(run.output)
    assert kept.name == "step-000000002"
    assert all(one.isfinite().all() for one in load_file(kept / "weights.safetensors").values())


def test_a_process_that_loses_the_others_says_what_to_do(monkeypatch):
    def lost(*_, **__):
        raise RuntimeError("Connection closed by peer")

    state = SimpleNamespace(process_index=1, num_processes=2)
    monkeypatch.setattr(together, "PartialState", lambda: state)
    monkeypatch.setattr(together, "reduce", lost)
    with pytest.raises(OracleError, match=r"Process 1 lost touch.*closed by peer.*`resume`"):
        together.highest(15, torch.device("cpu"))


NUM_KILLS = 20


def learn(config, pipe):
    """Train in a process of its own; say when it begins and after each step, and wait for leave."""
    torch.set_num_threads(1)

    def watch(found):
        for one in found:
            pipe.send(one.done)
            pipe.recv()
            yield one

    pipe.send(None)
    train(config, progress=watch)


def killed(context, config, numbers) -> bool:
    """Run in a process, kill it at a random moment; return whether it was still alive by then."""
    ours, theirs = context.Pipe()
    process = context.Process(target=learn, args=(config, theirs))
    process.start()
    theirs.close()
    ours.recv()
    # None: somewhere before its first step, or in it. Else somewhere in the step behind this many.
    for _ in range(numbers.randrange(3)):
        ours.recv()
        ours.send("go")
    # Not to wait for anything: so that the kill falls anywhere in what it does.
    time.sleep(numbers.uniform(0, 0.05))
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def lives(context, config) -> None:
    """Run in a process, to the end."""
    process = context.Process(target=train, args=(config,))
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.slow
def test_a_run_killed_20_times_ends_in_the_same_bits(config, tmp_path):
    whole = config.model_copy(
        update={"epochs": 11, "save_every": 1, "evaluate_examples": 1, "evaluate_every": 7}
    )
    resumed = whole.model_copy(update={"resume": True})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["activation_oracles.training.loop"])
    lives(context, whole.model_copy(update={"output": str(tmp_path / "whole")}))
    numbers = random.Random(5)
    for _ in range(NUM_KILLS):
        assert killed(context, resumed, numbers)
    done = int(checkpoint.latest(tmp_path / "run").name.removeprefix("step-"))
    assert 10 < done < 66
    lives(context, resumed)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "run")]
    assert [line.split(",")[:4] for line in lines[0].splitlines()] == [
        line.split(",")[:4] for line in lines[1].splitlines()
    ]
