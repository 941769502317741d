"""`ao harden`: attack an oracle, teach it what fooled it, and attack again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from activation_oracles.cli.dreaming import Attacked
from activation_oracles.errors import ConfigError, DataError

if TYPE_CHECKING:
    from activation_oracles.dreams.attacks import Made
    from activation_oracles.dreams.concepts import Concept
    from activation_oracles.dreams.effect import Neutral
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Example


@dataclass(frozen=True, kw_only=True)
class Harden:
    """Train an oracle on from itself, against vectors that fool it; see docs/dream.md."""

    attacked: Annotated[Attacked, tyro.conf.arg(name="")] = field(default_factory=Attacked)
    out: str
    """Folder: each round's vectors, data and oracle. What is finished there is not done again."""
    data: tuple[str, ...] = ()
    """Data that the oracle was trained on, to go on with; the village draws its own."""
    concepts: str | None = None
    """YAML file of concepts to learn from, none of those that it will be counted on; by default
    the village's 40 for that."""
    rounds: int = 3
    """Attack and learn so often."""
    steps: int = 1000
    """Steps of training in each round."""
    learning_rate: float | None = None
    """Its peak; by default a third of what the oracle was trained with."""
    share: float = 0.3
    """Of the training examples that show vectors of attacks."""
    kinds: tuple[Literal["normal", "red-team", "silent", "CAA", "mean difference"], ...] = (
        *("normal", "red-team", "silent"),
        *("CAA", "mean difference"),
    )
    """What is made of each concept and round. Normal dreams are by far the cheapest."""
    seeds: int = 4
    """Normal dreams of each concept and round."""
    contrasts: int = 4
    """Directions from contrast of each concept, kind and round."""
    attack_steps: int = 150
    """Steps of every search."""
    layers: tuple[int, ...] = ()
    """Layers that the oracle is told dreams are from; by default all that it was trained on."""
    seed: int = 0
    """Of noise, of what data are drawn, and of training."""

    def __post_init__(self) -> None:
        numbers = (self.rounds, self.steps, self.seeds, self.contrasts)
        if not 0 < self.share < 1 or min(numbers) < 1:
            raise ConfigError(
                "Hardening needs a --share between 0 and 1, and at least one of --rounds, --steps, "
                f"--seeds and --contrasts: got {self.share}, and {', '.join(map(str, numbers))}."
            )
        if not self.attacked.is_village and not (self.data and self.concepts):
            raise ConfigError(
                "Give the --data that the oracle was trained on and --concepts to learn from: "
                "without the former it forgets what it could."
            )

    def run(self) -> None:
        """Print the folder of each round's oracle."""
        oracle, target = self.attacked.open("ao harden")
        concepts, neutral = self.material()
        settings, start = self.settings(oracle), self.attacked.oracle or _village_oracle()
        from activation_oracles.oracle.oracle import Oracle

        made: list[Made] = []
        for number in range(self.rounds):
            folder = Path(self.out) / f"round-{number}"
            made += self.attack(folder / "attack", number, oracle, target, (concepts, neutral))
            if not (folder / "oracle" / "ao_config.json").exists():
                self.learn(folder, settings, start, oracle, made, concepts)
            start = str(folder / "oracle")
            oracle = Oracle.from_pretrained(start, model=target.model, name=f"round-{number}")
            print(start)

    def material(self) -> "tuple[tuple[Concept, ...], Neutral]":
        """Return the concepts to learn from, and what the target should go on doing.

        Raises:
            OracleError: the file of concepts is missing or malformed.
        """
        from activation_oracles.dreams.concepts import load_concepts
        from activation_oracles.dreams.neutral import NEUTRAL

        if self.attacked.is_village:
            from activation_oracles.world.concepts import concepts, neutral

            own = self.concepts
            return (concepts(hardening=True) if own is None else load_concepts(own)), neutral()
        assert self.concepts is not None
        return load_concepts(self.concepts), NEUTRAL

    def settings(self, oracle: "Oracle") -> dict[str, Any]:
        """Return how the oracle was trained, to train it on in the same way.

        Raises:
            ConfigError: its card does not say.
        """
        known = oracle.card.training.get("config")
        if not isinstance(known, dict):
            raise ConfigError(
                "The oracle's card does not say how it was trained, so that it cannot be trained "
                "on. Take one that `ao train` made."
            )
        return known

    def attack(
        self,
        folder: Path,
        number: int,
        oracle: "Oracle",
        target: "Target",
        material: "tuple[tuple[Concept, ...], Neutral]",
    ) -> "list[Made]":
        """Make a round's vectors against the oracle as it is now."""
        from activation_oracles.dreams.attacks import AttackConfig
        from activation_oracles.dreams.battery import BatteryConfig
        from activation_oracles.dreams.dream import DreamConfig
        from activation_oracles.dreams.running import Run, attack

        config = BatteryConfig(
            attack=AttackConfig(
                layer=self.attacked.chosen_layer(oracle),
                kinds=self.kinds,
                search=DreamConfig(steps=self.attack_steps),
                seeds=self.seeds,
                contrasts=self.contrasts,
                seed=self.seed + 1000 * (number + 1),
            )
        )
        run = Run({"oracle": oracle}, target, *material, config, {})
        about = {
            "oracle": oracle.model.adapters.identity(oracle.adapter).rpartition("@")[2],
            "concepts": [one.name for one in run.concepts],
            **config.attack.model_dump(mode="json"),
        }
        return attack(run, folder, about=about)

    def learn(
        self,
        folder: Path,
        settings: dict[str, Any],
        start: str,
        oracle: "Oracle",
        made: "Sequence[Made]",
        concepts: "Sequence[Concept]",
    ) -> None:
        """Train on from `start` on all vectors so far, among examples that it knows."""
        from safetensors.torch import save_file

        from activation_oracles.dreams.lessons import VECTORS, lessons
        from activation_oracles.tasks import store
        from activation_oracles.training.config import TrainConfig
        from activation_oracles.training.loop import train

        found = lessons(made, concepts, layers=self.layers or oracle.card.trained_layers)
        count = self.steps * int(settings["batch_size"])
        random = Random(f"{self.seed}/{folder.name}")
        own = balanced(found.examples, round(count * self.share), random)
        rows = [*own, *self.known(oracle, count - len(own), random)]
        random.shuffle(rows)
        manifest = store.Manifest(
            seed=self.seed,
            command="ao harden",
            tokenizer=store.hash_tokenizer(oracle.model.tokenizer),
        )
        data = store.write(folder / "data", {"train": rows}, manifest)
        save_file({"vectors": found.vectors.contiguous()}, data / VECTORS)
        usual = float(settings["learning_rate"])
        values: dict[str, Any] = {
            **settings,
            "model": oracle.model.name,
            "data": (str(data),),
            "output": str(folder / "oracle"),
            "start": start,
            "learning_rate": usual / 3 if self.learning_rate is None else self.learning_rate,
            "max_steps": self.steps,
            "epochs": 1,
            "seed": self.seed,
            "resume": (folder / "oracle" / "config.yaml").exists(),
            "device": None,
        }
        train(TrainConfig(**values), model=oracle.model)

    def known(self, oracle: "Oracle", count: int, random: Random) -> "list[Example]":
        """Return examples that the oracle was trained on, or would have been."""
        if self.attacked.is_village and not self.data:
            from activation_oracles.world.draft import Ways
            from activation_oracles.world.questions import CLOSING_SHARES, questions

            # As in its last steps: without these it forgets what is read before a reply.
            how: dict[str, Any] = {"shares": CLOSING_SHARES, "ways": Ways(is_closing=True)}
            seed = random.randrange(2**31)
            return questions(oracle.model.tokenizer, seed=seed, count=count, **how)
        from activation_oracles.tasks import store

        held = [row for one in self.data for row in store.read(one, "train")]
        if not held:
            raise DataError(f"{', '.join(self.data)} hold no training examples.")
        return random.choices(held, k=count)


def balanced(examples: "Sequence[Example]", count: int, random: Random) -> "list[Example]":
    """Draw lessons, as often one with a truth to tell as one without.

    There are many more dreams than vectors that steer, and an oracle that is mostly told that it
    cannot tell says so of all that is no text's activation.
    """
    from activation_oracles.dreams.lessons import CANNOT_TELL

    sides = [[one for one in examples if (one.answer == CANNOT_TELL) == no] for no in (True, False)]
    full = [side for side in sides if side]
    return [random.choice(random.choice(full)) for _ in range(count)]


def _village_oracle() -> str:
    from activation_oracles.world.load import DATA, ORACLE

    return str(DATA / ORACLE)
