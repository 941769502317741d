"""`ao depth`: what an oracle reads at each layer, and at which one it is best asked."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from activation_oracles.cli.asking import Asking, choices_of, limited, readings
from activation_oracles.cli.limits import check_limit
from activation_oracles.errors import ConfigError, DataError

if TYPE_CHECKING:
    from activation_oracles.evals.depth import Depths
    from activation_oracles.evals.evaluation import Answerer, Record
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Example


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Score an oracle at every depth on questions whose answers are known, and recommend a layer.

    The same questions are asked with the activations of every layer, beside nothing and random
    directions in the slots. A layer is chosen on one half of the texts, and what it scores is
    reported on the other.
    """

    oracle: str
    """Folder or hub id of the oracle."""
    data: str
    """Folder made by `ao data build`, or a .jsonl or .parquet file of examples; the layers they
    name are not looked at."""
    layers: tuple[str, ...] = ()
    """As `4 9 18`, or `9+18+27` for several at once, or `all`. By default every block, a dozen of a
    deep model, and what was trained on."""
    target: str | None = None
    """Folder or hub id of the model to read; by default the one that the oracle's card names."""
    adapter: str | None = None
    """Folder or hub id of an adapter to read the target under."""
    split: Literal["held_out", "train"] = "held_out"
    """Which examples to ask: `train` takes the rest, as where all of `data` is for testing."""
    training: str | None = None
    """Folder of the examples that say which answers a task has; by default `data`."""
    tasks: tuple[str, ...] = ()
    """Only these, by name or by what stands before a slash in it; by default all."""
    limit: int = 100
    """Examples of each task at most, drawn by the seed; 0 takes all."""
    choose: bool = True
    """Let the oracle choose between the answers of a task that has few; else it answers freely."""
    max_new_tokens: int = 20
    """Length at which a free answer is cut."""
    seed: int = 0
    """Decides which examples, the two halves, and random directions."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    save: bool = False
    """Keep the result in the oracle's `ao_config.json`: asking without a layer then reads at the
    recommended one, and elsewhere says what was found there."""
    out: str | None = None
    """Folder for every answer (answers.parquet) and the table (depth.json, depth.md)."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> None:
        """Print the table and what it means to stdout; progress goes to stderr."""
        from activation_oracles.evals.depth import compare_depths
        from activation_oracles.evals.depth_table import told
        from activation_oracles.evals.records import write_records
        from activation_oracles.oracle.oracle import Oracle

        check_limit(self.limit)
        if self.save:
            self._check_saving()
        examples = self._examples()
        oracle = Oracle.from_pretrained(
            self.oracle, model=self.target, attention=self.attention, device=self.device
        )
        records = self._asked(oracle, examples)
        sets = dict.fromkeys(one.example.layers for one in records)
        trained = [one for one in sets if oracle.card.was_trained_on(one)]
        depths = compare_depths(records, trained=trained, seed=self.seed)
        about = self._about(oracle, examples)
        as_json = json.dumps({"about": about, **asdict(depths)}, indent=1)
        facts = [f"- {name}: {value}" for name, value in about.items() if value is not None]
        as_text = told(depths, oracle.model.num_layers, facts)
        if self.out is not None:
            folder = Path(self.out)
            folder.mkdir(parents=True, exist_ok=True)
            write_records(folder / "answers.parquet", records)
            (folder / "depth.json").write_text(as_json + "\n", encoding="utf-8")
            (folder / "depth.md").write_text(as_text + "\n", encoding="utf-8")
        if self.save:
            self._keep(oracle, depths, about)
        print(as_json if self.json else as_text)

    def _examples(self) -> "list[Example]":
        found = [one for one in readings(self.data, self.split) if self._is_wanted(one.task)]
        if not found:
            which = ", ".join(self.tasks) or "any task"
            raise DataError(
                f"{self.data} has no {self.split} examples of {which}. Name another split, or "
                "tasks that it has."
            )
        return limited(found, self.limit, self.seed)

    def _is_wanted(self, task: str) -> bool:
        return not self.tasks or task in self.tasks or task.partition("/")[0] in self.tasks

    def _asked(self, oracle: "Oracle", examples: "Sequence[Example]") -> "list[Record]":
        """Return every answer, of tasks with few answers and of the others."""
        from activation_oracles.evals.depth import ask_by_depth, layer_sets
        from activation_oracles.evals.grade import exact, token_f1
        from activation_oracles.models.target import Target

        model = oracle.model
        sets = layer_sets(self.layers, model.num_layers, oracle.card.fixed_sets)
        adapter = model.add_adapter(self.adapter) if self.adapter else None
        choices = choices_of(readings(self.training or self.data, "train"))
        asking = Asking(
            oracle, {"": Target(model, adapter)}, choices, self.max_new_tokens, self.seed
        )
        found: list[Record] = []
        for closed, grade in ((True, exact), (False, token_f1)):
            asked = [one for one in examples if (one.task in choices) == closed]
            answerers = partial(self._answerers, asking, by_choice=closed and self.choose)
            if asked:
                found += ask_by_depth(asked, sets, answerers, grade, progress=_progress)
        return found

    def _answerers(self, asking: Asking, part: int, *, by_choice: bool) -> "list[Answerer]":
        from activation_oracles.evals.answerers import RandomDirections, Remembering, Shown

        read = Remembering(asking.target.vectors)
        say = asking.choose if by_choice else asking.say
        # Other directions in every part.
        noise = RandomDirections(read, self.seed + part)
        return [
            Shown("oracle", None, read, say),
            Shown("oracle", "nothing", read, partial(say, nothing=True)),
            Shown("oracle", "random", noise, say),
        ]

    def _about(self, oracle: "Oracle", examples: "Sequence[Example]") -> dict[str, Any]:
        counts = Counter(one.task for one in examples)
        return {
            "oracle": self.oracle,
            "adapter": oracle.model.adapters.identity(oracle.adapter),
            "target": oracle.model.name,
            "read under": self.adapter,
            "fingerprint": oracle.model.fingerprint,
            "data": self.data,
            "split": self.split,
            "tasks": dict(sorted(counts.items())),
            "limit": self.limit,
            "seed": self.seed,
            "version": version("activation-oracles"),
        }

    def _check_saving(self) -> None:
        """Refuse an oracle whose card cannot be added to, before anything is asked."""
        from activation_oracles.oracle.card import FILE_NAME

        if not (Path(self.oracle) / FILE_NAME).is_file():
            raise ConfigError(
                f"{self.oracle} is no folder with {FILE_NAME}, in which the result could be saved. "
                "Download the oracle and save it with `Oracle.save` first, or leave out `save`."
            )

    def _keep(self, oracle: "Oracle", depths: "Depths", about: dict[str, Any]) -> None:
        from activation_oracles.models.blocks import named_layers
        from activation_oracles.oracle.depth import Depth as Measured
        from activation_oracles.tasks import store

        kept = Measured.model_validate(
            {
                "data": Path(self.data).name,
                "data_hash": store.fingerprint(self.data),
                # No folders of this machine: cards are published.
                "about": {
                    name: about[name] for name in ("split", "tasks", "limit", "seed", "version")
                },
                **asdict(depths),
                "layers": {named_layers(row.layers): asdict(row) for row in depths.rows},
            }
        )
        oracle.card.model_copy(update={"depth": kept}).save(self.oracle)
        print(f"saved in the card of {self.oracle}", file=sys.stderr)


def _progress(parts: "Sequence[list[Example]]") -> "Iterable[list[Example]]":
    from tqdm import tqdm

    return tqdm(parts, file=sys.stderr, unit="part")
