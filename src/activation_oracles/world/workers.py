"""Run one generator in several processes at once, as the ranks of a torch.distributed group.

The processes are all new, so nothing of the group is left behind in the one that asked.
"""

import os
import socket
from collections.abc import Callable, Iterator
from multiprocessing import parent_process
from queue import Empty
from threading import Thread
from typing import Any

import torch
from torch.distributed import destroy_process_group, get_rank, get_world_size, init_process_group
from torch.distributed import is_initialized as is_together
from torch.multiprocessing import get_context, start_processes

_SECONDS_BETWEEN_LOOKS = 0.5


def together(
    processes: int, work: Callable[..., Iterator[Any]], *arguments: object
) -> Iterator[Any]:
    """Yield what `work(*arguments)` yields, in the first of so many processes or in all of them.

    One process is this one. Every process uses one thread.

    Args:
        processes: how many.
        work: a generator function at the top level of its module. What a rank other than the first
            yields is dropped, unless it is wrapped in `Heard`.
        arguments: what it is called with; must be fit to be sent to a process.

    Raises:
        torch.multiprocessing.ProcessRaisedException: what one of the processes raised.
    """
    if processes == 1:
        torch.set_num_threads(1)
        for one in work(*arguments):
            yield one.value if isinstance(one, Heard) else one
        return
    said = get_context("spawn").Queue()
    ranks = start_processes(
        _work,
        (processes, _free_port(), said, work, arguments),
        nprocs=processes,
        join=False,
        start_method="spawn",
    )
    assert ranks is not None
    try:
        while not ranks.join(timeout=0):
            yield from _drained(said)
        yield from _drained(said)
    finally:
        for process in ranks.processes:
            assert process is not None
            process.kill()


class Heard:
    """Wraps what is yielded to the caller from every rank."""

    def __init__(self, value: object) -> None:
        """Wrap a value that can be sent to another process."""
        self.value = value


def share() -> tuple[int, int]:
    """Return this process's rank, and how many there are; (0, 1) where nobody else works."""
    return (get_rank(), get_world_size()) if is_together() else (0, 1)


def _work(
    rank: int,
    processes: int,
    port: int,
    said: Any,
    work: Callable[..., Iterator[Any]],
    arguments: tuple[object, ...],
) -> None:
    _end_with_parent()
    torch.set_num_threads(1)
    # As torchrun sets them: accelerate finds its peers by these.
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    init_process_group("gloo", rank=rank, world_size=processes)
    for one in work(*arguments):
        if isinstance(one, Heard):
            said.put(one.value)
        elif rank == 0:
            said.put(one)
    destroy_process_group()


def _end_with_parent() -> None:
    """Let this process end when the one that asked is killed, or it would go on writing files."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def _drained(said: Any) -> Iterator[Any]:
    while True:
        try:
            yield said.get(timeout=_SECONDS_BETWEEN_LOOKS)
        except Empty:
            return


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
