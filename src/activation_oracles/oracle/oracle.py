"""The oracle: a language model under its own adapter, asked about activations."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Unpack, overload

from jaxtyping import Float
from peft import LoraConfig
from torch import Tensor

from activation_oracles.errors import DataError
from activation_oracles.models.load import How, LanguageModel, load
from activation_oracles.oracle.answering import Answering
from activation_oracles.oracle.asking import Asker, Decoding, Shown
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.collate import Batch, Shows
from activation_oracles.oracle.confidence import HowSure, of_answers
from activation_oracles.oracle.controls import Control, answer_with_controls
from activation_oracles.oracle.drawing import Drawn
from activation_oracles.oracle.inputs import check_choices, listed, listed_questions, one_each
from activation_oracles.oracle.prompt import Prompt
from activation_oracles.oracle.readme import write_readme
from activation_oracles.oracle.released import assumed_card, base_of
from activation_oracles.oracle.sharing import followed_by
from activation_oracles.oracle.sweeping import Sweep, swept
from activation_oracles.types import Activations, Answer, Example


class Oracle:
    """A LoRA-tuned copy of a language model that answers questions about activation vectors.

    Method: Activation Oracles, arXiv 2512.15674.
    """

    def __init__(self, model: LanguageModel, adapter: str, card: Card, *, note: str = "") -> None:
        card.check(model)
        self.model = model
        self.adapter = adapter
        self.card = card
        self.note = note
        self._asker = Asker(model, adapter, card, card.template(model))
        self._answering = Answering(self._asker, note)

    @classmethod
    def new(
        cls, model: LanguageModel, card: Card, lora: LoraConfig, *, adapter: str = "oracle"
    ) -> "Oracle":
        """Start an untrained oracle on `model`: a fresh adapter that changes nothing yet."""
        return cls(model, model.new_adapter(lora, name=adapter), card)

    @classmethod
    def from_pretrained(
        cls,
        adapter: str,
        *,
        model: LanguageModel | str | None = None,
        name: str = "oracle",
        **how: Unpack[How],
    ) -> "Oracle":
        """Load a trained oracle from a folder or hub id.

        Args:
            adapter: folder or hub id of the adapter, with `ao_config.json` beside it or without.
            model: its base, loaded or by name; by default the one that the adapter names.
            name: what the adapter is called inside the model.
            how: passed to `load`, where it loads the model.

        Raises:
            ModelError: adapter or base cannot be loaded.
            MismatchError: adapter, card and base do not belong together.
        """
        card = Card.load(adapter)
        if not isinstance(model, LanguageModel):
            model = load(model or (card.model if card else base_of(adapter)), **how)
        card, note = (card, "") if card else assumed_card(adapter, model)
        card.check(model)
        return cls(model, model.add_adapter(adapter, name=name), card, note=note)

    def in_proportion(self, times: float = 1.0) -> "Oracle":
        """Return the same oracle, which is shown differences by their strength, too.

        Each slot is then written at `times` its relative strength times the oracle's own: a guess,
        as every answer says. Controls that are no difference are written as always.

        Raises:
            ConfigError: `times` is negative or not finite.
        """
        return self._asking(self._answering.in_proportion(times))

    def with_abstainer(self, abstainer: "Oracle") -> "Oracle":
        """Return the same oracle, which says that it cannot tell where another one would.

        What learning to abstain costs, the other alone has paid: this one's answer is kept as the
        guess. `ask`, `choose` and `sweep` ask both; `answer` this one alone.

        Raises:
            MismatchError: the other is not in this oracle's model.
        """
        return self._asking(self._answering.with_abstainer(abstainer._asker))

    def _asking(self, answering: Answering) -> "Oracle":
        same = Oracle(self.model, self.adapter, self.card, note=self.note)
        same._asker, same._answering = answering.asker, answering
        return same

    def save(self, folder: str | Path) -> None:
        """Write the adapter, `ao_config.json` and a README into a folder."""
        (folder := Path(folder)).mkdir(parents=True, exist_ok=True)
        self.model.save_adapter(self.adapter, folder)
        self.card.save(folder)
        write_readme(self.card, folder)

    def collate(self, examples: Sequence[Example], vectors: Shows) -> Batch:
        """Write the prompts of examples, with their answers as labels, and pad them."""
        return self._asker.batch(self._asker.asked(examples, vectors, answered=True), whole=True)

    def collate_drawn(
        self, examples: Sequence[Example], vectors: Shows, drawn: Sequence[Drawn]
    ) -> Batch:
        """As `collate`, with answers as they were generated as labels."""
        asked = self._asker.asked(examples, vectors, answered=False)
        said = [followed_by(one, answer.ids) for one, answer in zip(asked, drawn, strict=True)]
        return self._asker.batch(said, whole=True)

    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """Write the prompts of examples, with their answers."""
        return self._asker.prompts(examples, answered=True)

    def lay_out(self, prompts: Sequence[Prompt], shows: Sequence[bool]) -> Batch:
        """As `collate`, before there are vectors, for `Batch.showing`."""
        return self._asker.lay_out(prompts, shows, whole=True)

    @contextmanager
    def learning(self, batch: Batch) -> Generator[Float[Tensor, ""]]:
        """Yield the mean loss over labelled tokens; call `backward()` inside the scope.

        Vectors stay written until the scope ends: gradient checkpointing runs blocks again.
        """
        with self.speaking(batch) as likelihoods:
            yield -likelihoods.mean()

    @contextmanager
    def speaking(self, batch: Batch) -> Generator[Float[Tensor, " label"]]:
        """Yield the log-probability of every labelled token, row by row, to learn from inside."""
        with self.model.training(self.adapter), self._asker.injecting(batch):
            yield self._asker.log_likelihoods(batch)

    def likelihoods(self, batch: Batch) -> Float[Tensor, " label"]:
        """Return the log-probability of every labelled token; the vectors alone get a gradient."""
        with self.model.using(self.adapter), self._asker.injecting(batch):
            return self._asker.log_likelihoods(batch)

    def samples(
        self, examples: Sequence[Example], vectors: Shows, how: Decoding
    ) -> list[list[Drawn]]:
        """Return as many answers to each example as `how` draws."""
        return self._asker.generate(self._asker.asked(examples, vectors, answered=False), how)

    def losses(self, examples: Sequence[Example], vectors: Shows) -> list[float]:
        """Return each example's mean loss over its labelled tokens, without dropout."""
        rows = self._asker.likelihood(self._asker.asked(examples, vectors, answered=True))
        return [-sum(row) / len(row) for row in rows]

    def likelihood_of(self, examples: Sequence[Example], vectors: Shows) -> list[float]:
        """Return how likely each example's answer is, as confidence by `likelihood` states it."""
        return of_answers(self._asker, self._asker.asked(examples, vectors, answered=True))

    def refusals(
        self, examples: Sequence[Example], vectors: Shows, said: Sequence[str]
    ) -> list[str | None]:
        """Return what its abstainer says of examples that were answered so, None if nothing."""
        return self._answering.refusals(examples, vectors, said)

    def answer(
        self, examples: Sequence[Example], vectors: Shows, *, max_new_tokens: int = 20
    ) -> list[str]:
        """Answer examples greedily, one text each."""
        found = self.samples(examples, vectors, Decoding(max_new_tokens=max_new_tokens))
        return [one.text for [one] in found]

    @overload
    def ask(
        self,
        activations: Activations,
        questions: str,
        *,
        decoding: Decoding = ...,
        controls: Sequence[Control] = ...,
        how_sure: HowSure | None = ...,
        on_text: Callable[[str], None] | None = ...,
    ) -> Answer: ...
    @overload
    def ask(
        self,
        activations: Activations | Sequence[Activations],
        questions: str | Sequence[str],
        *,
        decoding: Decoding = ...,
        controls: Sequence[Control] = ...,
        how_sure: HowSure | None = ...,
        on_text: Callable[[str], None] | None = ...,
    ) -> Answer | list[list[Answer]]: ...
    def ask(
        self,
        activations: Activations | Sequence[Activations],
        questions: str | Sequence[str],
        *,
        decoding: Decoding = Decoding(),  # noqa: B008 - frozen
        controls: Sequence[Control] = (),
        how_sure: HowSure | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer | list[list[Answer]]:
        """Ask questions about activations, all in one batch.

        Args:
            activations: one reading, or several.
            questions: one, or several, each asked of every reading.
            decoding: greedy by default; or n samples at a temperature, from a seed.
            controls: what else to put in the slots; their answers stand in `Answer.controls`.
            how_sure: by which method each answer's confidence is found; by default by none.
            on_text: called with pieces of the text as it comes, for one reading and one question.

        Returns:
            An `Answer` for one reading and one question; otherwise lists by question, by reading.

        Raises:
            DataError: a question is empty.
            MismatchError: the vectors do not fit the oracle's model.
        """
        readings = listed(activations, weighed=self._asker.in_proportion is not None)
        wordings = listed_questions(questions)
        if on_text is not None and (len(readings), len(wordings), decoding.samples) != (1, 1, 1):
            raise DataError("Streaming takes one reading, one question and one sample.")
        found = answer_with_controls(
            partial(self._answering.say, decoding, how_sure, on_text),
            [Shown(reading, question) for reading in readings for question in wordings],
            controls,
            max_new_tokens=decoding.max_new_tokens,
        )
        count = len(wordings)
        grid = [found[row * count : (row + 1) * count] for row in range(len(readings))]
        single = isinstance(activations, Activations) and isinstance(questions, str)
        return grid[0][0] if single else grid

    def choose(
        self,
        activations: Activations | Sequence[Activations],
        question: str | Sequence[str],
        choices: Sequence[str],
        *,
        controls: Sequence[Control] = (),
        how_sure: HowSure | None = None,
    ) -> Answer | list[Answer]:
        """Let the oracle choose between given answers, by their length-normalised log-probability.

        Args:
            activations: one reading, or several.
            question: what to ask of every reading, or one question for each.
            choices: the answers.
            controls: what else to put in the slots.
            how_sure: `choice`, and perhaps other wordings of the question.

        Returns:
            An `Answer` with a probability for each choice; a list of them for a list of readings.

        Raises:
            DataError: choices that are no choice, or questions that are neither one nor one each.
        """
        check_choices(choices)
        readings = listed(activations, weighed=self._asker.in_proportion is not None)
        asked = one_each(question, len(readings))
        chosen = answer_with_controls(
            partial(self._answering.choose, choices, how_sure),
            [Shown(*pair) for pair in zip(readings, asked, strict=True)],
            controls,
            max_new_tokens=Decoding().max_new_tokens,
        )
        return chosen[0] if isinstance(activations, Activations) else chosen

    def choose_blind(
        self, readings: Sequence[Activations], questions: Sequence[str], choices: Sequence[str]
    ) -> list[Answer]:
        """Return `choose`'s control `nothing`, one question a reading."""
        check_choices(choices)
        shown = [Shown(*pair, written=False) for pair in zip(readings, questions, strict=True)]
        return self._answering.choose(choices, None, shown)

    def sweep(
        self,
        activations: Activations,
        question: str,
        *,
        choices: Sequence[str] | None = None,
        controls: Sequence[Control] = (),
        decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    ) -> Sweep:
        """Ask one question of every slot alone: tokens x layers."""
        return swept(self, activations, question, choices, controls, decoding)
