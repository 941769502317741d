"""What a run was made with: the versions on which its result may depend."""

import platform
from importlib.metadata import version

PACKAGES = ("activation-oracles", "torch", "transformers", "peft")


def versions() -> dict[str, str]:
    """Return the versions of this package, of what computes, and of Python, by name."""
    return {**{name: version(name) for name in PACKAGES}, "python": platform.python_version()}
