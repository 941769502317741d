"""Work that needs no device, done by a thread ahead of the loop that waits for its results.

One thread, so that results come in order and draw on nothing at the same time. What fails there
fails here, where its result is taken, with the same error; at the scope's end the thread has ended.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")


@runtime_checkable
class Ahead(Protocol):
    """A `map` that may work ahead."""

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result of each item, in order."""
        ...


@contextmanager
def working_ahead(depth: int) -> Generator[Ahead]:
    """Yield a `map` that works up to `depth` items ahead inside the scope; with 0, no thread does.

    Items are drawn from their iterable by whoever takes the results, not by the thread.
    """
    if depth == 0:
        yield _now
        return
    thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")

    def through(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        left = iter(items)
        waiting: deque[Future[Result]] = deque(
            thread.submit(work, one) for one in islice(left, depth)
        )
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(thread.submit(work, one) for one in islice(left, 1))
            yield result

    try:
        yield through
    finally:
        # Not without waiting: what the thread works with is taken apart after this.
        thread.shutdown(wait=True, cancel_futures=True)


def _now(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    return map(work, items)
