"""What `ao dream` and `ao redteam` work on: an oracle, the target it is for, or the village."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from activation_oracles.errors import ConfigError

if TYPE_CHECKING:
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle

CAUTION = (
    "a vector that is dreamt may make a model do what it was trained not to do, and one that fools "
    "an oracle may hide it. For research on models you may study; see docs/dream.md."
)


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """An oracle and its target."""

    oracle: str | None = None
    """Folder or hub id of the oracle; by default the embedded village's."""
    target: str | None = None
    """Folder or hub id of the model that it was trained for; by default the village's base."""
    adapter: str | None = None
    """Folder or hub id of an adapter to run the target under; of the village an organism's name."""
    layer: int | None = None
    """Which layer the oracle is told of, and after which block vectors are added. By default the
    oracle's first usual one."""
    dtype: str = "auto"
    """As float32 or bfloat16; auto keeps the checkpoint's."""
    quantize: Literal["8bit", "4bit"] | None = None
    """Load the weights in 8 or 4 bits, through bitsandbytes."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """Instead of a device: spread over all that there are, then main memory, then disk."""

    def __post_init__(self) -> None:
        if self.oracle is None and self.target is not None:
            raise ConfigError(
                f"{self.target!r} needs an --oracle that was trained for it: the village's own is "
                "for the village's base."
            )

    @property
    def is_village(self) -> bool:
        """Whether it is the embedded one's base that is steered."""
        return self.target is None

    def open(self, command: str) -> "tuple[Oracle, Target]":
        """Say a word of caution on stderr, and load both.

        Raises:
            OracleError: something is missing, or does not belong to the rest.
        """
        print(f"{command}: {CAUTION}", file=sys.stderr)
        from transformers.utils import logging

        if not sys.stderr.isatty():
            logging.disable_progress_bar()
        from activation_oracles.models.target import Target
        from activation_oracles.oracle.oracle import Oracle

        if self.target is None:
            from activation_oracles.world.load import load_demo

            demo = load_demo()
            if self.oracle is None:
                return demo.oracle, demo.target(self.adapter)
            return Oracle.from_pretrained(self.oracle, model=demo.model), demo.target(self.adapter)
        assert self.oracle is not None
        how: dict[str, Any] = {
            "dtype": self.dtype,
            "quantize": self.quantize,
            "device": self.device,
            "device_map": self.device_map,
        }
        target = Target.from_pretrained(self.target, adapter=self.adapter, **how)
        return Oracle.from_pretrained(self.oracle, model=target.model), target

    def chosen_layer(self, oracle: "Oracle") -> int:
        """Return where vectors are added."""
        return oracle.card.usual_layers[0] if self.layer is None else self.layer


@dataclass(frozen=True, kw_only=True)
class OtherOracles:
    """Oracles for the same model beside the first."""

    also: tuple[str, ...] = ()
    """Other oracles for the same model (folders or hub ids), which every vector should deceive
    together with the first."""
    others: tuple[str, ...] = ()
    """Other oracles for the same model (folders or hub ids), who are asked but not attacked."""

    def __post_init__(self) -> None:
        names = list(map(_name, self._given))
        if len({*names, "oracle"}) <= len(names):
            raise ConfigError(f"Other oracles need names of their own, none `oracle`: got {names}.")

    @property
    def _given(self) -> tuple[str, ...]:
        return (*self.also, *self.others)

    def load(self, oracle: "Oracle") -> "dict[str, Oracle]":
        """Load those that are attacked with the first, then those that are only asked.

        Raises:
            OracleError: one cannot be loaded, or does not belong to the model.
        """
        from activation_oracles.oracle.oracle import Oracle

        return {
            _name(one): Oracle.from_pretrained(one, model=oracle.model, name=_name(one))
            for one in self._given
        }


def _name(source: str) -> str:
    """Return what an oracle is called in its model, and in what is printed."""
    return Path(source).name
