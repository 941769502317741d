"""Work shared by processes leaves none behind."""

import signal
import subprocess
import sys
import time

import psutil

SCRIPT = """
import os, signal, time
from activation_oracles.world.workers import Heard, together

def work():
    yield Heard(os.getpid())
    while True:
        time.sleep(0.1)

if __name__ == "__main__":
    # As in the background of a shell, where what torch sends to orphans is not heard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for pid in together(2, work):
        print(pid, flush=True)
"""


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_end_when_whoever_asked_for_them_is_killed(tmp_path):
    script = tmp_path / "ask.py"
    script.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as asking:
        workers = [int(asking.stdout.readline()) for _ in range(2)]
        assert all(map(is_running, workers))
        asking.send_signal(signal.SIGKILL)
        asking.wait()
        until = time.monotonic() + 60
        while any(map(is_running, workers)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(map(is_running, workers))
