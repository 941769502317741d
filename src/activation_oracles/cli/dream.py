"""`ao dream`: vectors of which an oracle says what it is told to say, made by gradient."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from activation_oracles.cli.dreaming import Attacked, OtherOracles
from activation_oracles.cli.steer import listed
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.files import naming_what_fails, writing

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from activation_oracles.dreams.dream import Dream as Dreamt
    from activation_oracles.dreams.dream import DreamConfig
    from activation_oracles.dreams.terms import Term
    from activation_oracles.dreams.wishes import Wish
    from activation_oracles.models.chat import Chat
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Activations

DREAMS = "dreams.json"
"""What came of the dreams of a folder."""


@dataclass(frozen=True, kw_only=True)
class Dream:
    """Search for vectors that make an oracle give an answer; see docs/dream.md."""

    attacked: Annotated[Attacked, tyro.conf.arg(name="")] = field(default_factory=Attacked)
    beside: Annotated[OtherOracles, tyro.conf.arg(name="")] = field(default_factory=OtherOracles)
    question: tuple[str, ...]
    """What the oracle is asked; of several, all answers are wanted at once."""
    answer: tuple[str, ...]
    """What it should say, one for each question."""
    any: bool = False
    """Of several answers, one is enough."""
    suppress: bool = False
    """It should not say it."""
    seeds: int = 4
    """How many dreams, each from noise of its own."""
    seed: int = 0
    """Where the first one's noise is drawn from."""
    start: tuple[str, ...] = ()
    """Begin from saved vectors instead of noise."""
    around: str | None = None
    """A saved reading: the vector is added to each of its slots, instead of standing alone."""
    bound: float | None = None
    """How long it may be then, in mean lengths of the reading's slots: 0.3 is a start."""
    harmless: float = 0.0
    """Above 0: a red-team attack, which leaves the target as it is. Weight of the change on neutral
    prompts, in units of the stream's mean square; 3 is a start."""
    faithful: float = 0.0
    """Above 0: the target should be moved as by the vector that it starts from, whatever the oracle
    says; with --suppress, causal but silent. Weight of the share of that effect that is lost."""
    promote: str | None = None
    """A reply that the target should come to give behind --prompt, when steered."""
    demote: str | None = None
    """A reply that it should not give there."""
    prompt: str | None = None
    """What the target is asked, for --promote and --demote."""
    spoken: float = 1.0
    """Weight of what is promoted or demoted, in nats a token."""
    strength: float = 1.0
    """At which vectors are added for these, in multiples of the stream's length."""
    neutral: str | None = None
    """File of neutral prompts, one a line; by default a small set."""
    steps: int = 150
    """Steps of AdamW, at most."""
    learning_rate: float = 0.01
    """AdamW's."""
    tau: float = 0.01
    """The search ends when the answer is short of certain by so many nats: 0.01 is 0.99."""
    out: str | None = None
    """Folder for the vectors, which `ao steer` takes, and their traces."""

    def __post_init__(self) -> None:
        if len(self.question) != len(self.answer):
            raise ConfigError(
                f"Each --question wants an --answer: got {len(self.question)} and "
                f"{len(self.answer)}."
            )
        if self.seeds < 1 or min(self.harmless, self.faithful, self.spoken) < 0:
            raise ConfigError("Give at least one of --seeds, and no negative weight.")
        if self.faithful and not self.start:
            raise ConfigError("--faithful keeps what a vector does: give one that steers, --start.")
        said = self.promote is not None or self.demote is not None
        if said != (self.prompt is not None):
            raise ConfigError(
                "--promote and --demote are of replies to a --prompt: give both or neither."
            )
        if (self.around is None) != (self.bound is None):
            raise ConfigError("A change of a reading (--around) wants a --bound, and only that.")

    def run(self) -> None:
        """Print what each dream came to, and what the oracle says of it freely."""
        config, wish = self.config(), self.wish()
        if self.out is not None:
            check_free(Path(self.out))
        oracle, target = self.attacked.open("ao dream")
        more = self.beside.load(oracle)
        layer = self.attacked.chosen_layer(oracle)
        from activation_oracles.dreams.beliefs import believed
        from activation_oracles.dreams.dream import Attempt, dream
        from activation_oracles.types import Activations

        starts = self.starts(oracle)
        around = None if self.around is None else Activations.load(self.around)
        attempts = [Attempt(str(n), wish, start, around) for n, start in enumerate(starts)]
        everyone = {"oracle": oracle, **more}
        deceived = list(everyone.values())[: 1 + len(self.beside.also)]
        found = dream(
            deceived, attempts, layer=layer, config=config, terms=self.terms(target, layer)
        )
        shown = [one.vector if around is None else moved(around, one.vector) for one in found]
        said = oracle.ask(shown, list(dict.fromkeys(self.question)))
        assert isinstance(said, list)
        wishes = [wish] * len(found)
        beliefs = {name: believed(one, wishes, shown) for name, one in everyone.items() if more}
        print(f"{wish} (layer {layer})")
        for row, (one, answers) in enumerate(zip(found, said, strict=True)):
            print(told(one, [answer.text for answer in answers]))
            if beliefs:
                print(told_beliefs({name: some[row] for name, some in beliefs.items()}))
        if self.out is not None:
            save(Path(self.out), found, beliefs)

    def config(self) -> "DreamConfig":
        """Return how to search."""
        from activation_oracles.dreams.dream import DreamConfig

        return DreamConfig(
            steps=self.steps, learning_rate=self.learning_rate, tau=self.tau, bound=self.bound
        )

    def wish(self) -> "Wish":
        """Return what the oracle should say."""
        from activation_oracles.dreams.wishes import AllOf, AnyOf, Not, Says

        parts = tuple(Says(*pair) for pair in zip(self.question, self.answer, strict=True))
        wish = parts[0] if len(parts) == 1 else AnyOf(parts) if self.any else AllOf(parts)
        return Not(wish) if self.suppress else wish

    def starts(self, oracle: "Oracle") -> "Float[Tensor, 'start d_model']":
        """Return where dreams begin."""
        import torch

        from activation_oracles.dreams.dream import noise
        from activation_oracles.types import Activations

        if self.start:
            return torch.cat([Activations.load(one).vectors for one in self.start])
        width = oracle.model.width
        return torch.cat([noise(1, width, seed=self.seed + n) for n in range(self.seeds)])

    def terms(self, target: "Target", layer: int) -> "Sequence[Term]":
        """Return what vectors are charged for besides the oracle's belief."""
        from activation_oracles.dreams.neutral import NEUTRAL
        from activation_oracles.dreams.terms import Dose, Faithful, Harmless, Prompts, Speaks

        chats = target.model.tokenizer.chat_template is not None

        def asked(text: "str | Chat") -> "str | Chat":
            return [{"role": "user", "content": text}] if chats and isinstance(text, str) else text

        dose = Dose(layer, self.strength)
        found: list[Term] = []
        if self.harmless or self.faithful:
            neutral = NEUTRAL.prompts if self.neutral is None else listed(self.neutral)
            prompts = Prompts(target, tuple(map(asked, neutral)))
            if self.harmless:
                found.append(Harmless(prompts, dose, self.harmless))
            if self.faithful:
                found.append(Faithful(prompts, dose, self.faithful))
        if self.prompt is not None:
            behind = asked(self.prompt)
            for reply, unsaid in ((self.promote, False), (self.demote, True)):
                if reply is not None:
                    found.append(Speaks(target, behind, reply, dose, unsaid, self.spoken))
        return found


def moved(reading: "Activations", vector: "Activations") -> "Activations":
    """Return a reading with a vector added to each of its slots."""
    return replace(reading, vectors=reading.vectors + vector.vectors.to(reading.vectors))


def told(one: "Dreamt", said: Sequence[str]) -> str:
    """Return the line that tells what a dream came to."""
    costs = "".join(f", {name} {value:.3f}" for name, value in one.costs.items())
    end = "believed" if one.believed else "not believed"
    answers = " | ".join(said)
    return f"  {one.name}: {end} ({one.probability:.3f}, {one.steps} steps{costs}): {answers}"


def told_beliefs(probabilities: "Mapping[str, float]") -> str:
    """Return the line that tells who believes a dream."""
    return "     " + ", ".join(f"{name} {one:.3f}" for name, one in probabilities.items())


def check_free(folder: Path) -> None:
    """Refuse a folder that holds dreams, before any are dreamt.

    Raises:
        DataError: it does.
    """
    if (folder / DREAMS).exists():
        raise DataError(f"{folder} holds dreams already. Name another folder.")


def save(folder: Path, found: "Sequence[Dreamt]", beliefs: "Mapping[str, Sequence[float]]") -> None:
    """Write a vector file each, and one file of what they came to.

    Args:
        folder: where; made if need be.
        found: the dreams.
        beliefs: how probable each oracle finds each, by its name; empty where there is but one.

    Raises:
        DataError: the folder cannot be written.
    """
    with naming_what_fails(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        with writing(folder / f"{one.name}.safetensors") as part:
            one.vector.save(part)
    with writing(folder / DREAMS) as part:
        rows = [
            _row(one) | {"probabilities": {name: some[row] for name, some in beliefs.items()}}
            for row, one in enumerate(found)
        ]
        part.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _row(one: "Dreamt") -> dict[str, Any]:
    known = asdict(one) | {"wish": str(one.wish)}
    del known["vector"]
    return known
