"""Ask a language model's activations what they hold.

The public names load on first use, so that importing the package costs nothing: torch comes with
the first name asked for, not before.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Activations, Answer, Example
    from activation_oracles.world.load import load_demo

__version__ = "0.1.0"
__all__ = ["Activations", "Answer", "Example", "Oracle", "Target", "__version__", "load_demo"]

_HOMES = {
    "Activations": "activation_oracles.types",
    "Answer": "activation_oracles.types",
    "Example": "activation_oracles.types",
    "Oracle": "activation_oracles.oracle.oracle",
    "Target": "activation_oracles.models.target",
    "load_demo": "activation_oracles.world.load",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
