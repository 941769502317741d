"""One text, one row: this package never packs several into one, and nothing may do so behind it.

transformers looks in every pass without a mask whether positions restart within a row, to keep the
parts apart. That look makes a GPU's queue run dry, and layers that carry a state from token to
token (linear attention, Mamba) would mix the parts all the same.
"""

from collections.abc import Generator
from contextlib import contextmanager

from transformers import masking_utils

LOOK = "find_packed_sequence_indices"


@contextmanager
def whole_rows() -> Generator[None]:
    """Take every row for one text inside the scope, without looking."""
    before = getattr(masking_utils, LOOK, None)
    if before is None:
        # A version that does not look.
        yield
        return
    setattr(masking_utils, LOOK, lambda *_, **__: None)
    try:
        yield
    finally:
        setattr(masking_utils, LOOK, before)
