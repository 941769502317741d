"""SAE features beside an oracle: what is written of the most active ones, as an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from activation_oracles.errors import ConfigError

if TYPE_CHECKING:
    from activation_oracles.baselines.sae_features import Dictionary
    from activation_oracles.evals.answerers import Read
    from activation_oracles.evals.grade import Grade
    from activation_oracles.evals.running import Part
    from activation_oracles.types import Example


@dataclass(frozen=True, kw_only=True)
class Sae:
    """Settings of an SAE whose features answer, too."""

    sae: str | None = None
    """Safetensors file of an SAE's decoder: its most active features answer, too, by what is
    written of them. Wants `explanations` and `sae_layer`."""
    explanations: str | None = None
    """JSON lines of `feature` and `explanation`, as `ao data build` takes them."""
    sae_layer: int | None = None
    """The block whose output that SAE encodes."""

    def dictionary(self) -> "Dictionary | None":
        """Return the SAE's explained features, if any are to answer.

        Raises:
            ConfigError: a part of what they need is not named.
            DataError: a file is missing or malformed, or they do not belong together.
        """
        if self.sae is None and self.explanations is None and self.sae_layer is None:
            return None
        if self.sae is None or self.explanations is None or self.sae_layer is None:
            raise ConfigError(
                "SAE features need all three: `sae`, a decoder's file, `explanations` of its "
                "features, and `sae_layer`, the block that it encodes."
            )
        from activation_oracles.baselines.sae_features import Dictionary
        from activation_oracles.tasks.features import read_decoder, read_features

        features = read_features(self.explanations)
        rows = read_decoder(self.sae, features)
        return Dictionary(self.sae_layer, rows, tuple(one.explanation for one in features))

    def of_sae(self) -> dict[str, object]:
        """Return what a run with SAE features is told from one without by."""
        named = {"sae": self.sae, "explanations": self.explanations, "sae_layer": self.sae_layer}
        return {name: value for name, value in named.items() if value is not None}


def explained(
    dictionary: "Dictionary | None",
    choices: "Mapping[str, tuple[str, ...]]",
    read: "Read",
    rows: "Sequence[Example]",
    grade: "Grade | Mapping[str, Grade]",
) -> "list[Part]":
    """Return SAE features as who answers the rows that show their layer; none without any.

    Raises:
        ConfigError: no row shows it.
    """
    from activation_oracles.baselines.sae_features import SaeFeatures
    from activation_oracles.evals.running import Part

    if dictionary is None:
        return []
    shown = [one for one in rows if dictionary.layer in one.layers]
    if not shown:
        raise ConfigError(
            f"The SAE's features are of layer {dictionary.layer}, and no question shows it, as of "
            f"task {rows[0].task!r}, which shows {rows[0].layers}. Read that layer."
        )
    return [Part(shown, [SaeFeatures(read, dictionary, choices)], grade)]
