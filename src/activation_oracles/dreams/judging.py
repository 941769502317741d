"""Whether what a target said shows a concept: by words, by a classifier, by a model's opinion.

A judge is shown the text alone, never what was done to the target. Each sees other things: words
are exact and narrow, a classifier knows a dozen texts, a model knows the language; so where they
agree, it is no accident of one of them.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from random import Random
from typing import Any

import torch

from activation_oracles.dreams.concepts import Concept
from activation_oracles.dreams.terms import Dose
from activation_oracles.dreams.under import Case, likelihoods
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.models.target import Target

Judge = Callable[[Sequence[str], Concept], list[float]]
"""From texts and a concept to a score for each text, from 0 (not shown) to 1 (shown)."""

OTHERS = 7
"""Most answers that a concept's stands among."""
ASKED = "A language model wrote this:\n\n{text}\n\n{question}"
_CHOOSE = "{question} Answer with one of these: {choices}."
_YES_NO = '{question} Would "{answer}" be right? Answer Yes or No.'


def named(texts: Sequence[str], concept: Concept) -> list[float]:
    """Return 1 for each text that holds one of the concept's words, whole and in any case."""
    return [float(_words(concept.shown_by).search(_plain(text)) is not None) for text in texts]


@dataclass(frozen=True)
class Classifier:
    """Logistic regression on words and pairs of words (scikit-learn, extra `eval`).

    Learnt from the concept's own texts, `about` against `not_about`; of other words it knows
    nothing. Of the general concepts' pairs, left out in turn, it tells 58 % apart (as by chance:
    50), of those about languages 94: fit for concepts with many texts, or with words of their own.
    """

    strength: float = 10.0
    """The inverse of the penalty, scikit-learn's C."""

    def __call__(self, texts: Sequence[str], concept: Concept) -> list[float]:
        """Return for each text the probability that it is about the concept.

        Raises:
            ConfigError: scikit-learn is not installed.
            DataError: the concept has no texts to learn from, or none with words.
        """
        fitted = _fitted(concept.name, concept.about, concept.not_about, self.strength)
        return fitted.predict_proba(list(texts))[:, 1].tolist() if texts else []


@dataclass(frozen=True, eq=False)
class ModelJudge:
    """A model that is asked the concept's question about a text, and chooses among answers."""

    target: Target
    """Who judges: best a model under no adapter, and never steered."""
    others: Sequence[Concept]
    """Concepts whose answers to the same question are the alternatives; where there are none, the
    choice is between Yes and No."""
    asked: str = ASKED
    """What the model is told, with `{text}` and `{question}` in it."""
    answered: str = "{answer}"
    """How it would say an answer."""
    as_chat: bool = True
    """Whether it is a user who asks; else the answer goes on with the text."""

    def __call__(self, texts: Sequence[str], concept: Concept) -> list[float]:
        """Return for each text the probability of the concept's answer.

        Answers are weighed by their log-probability per token, so that long ones are not punished.
        """
        answers, question = self.choices(concept)
        asked = [self.asked.format(text=text, question=question) for text in texts]
        told = [[{"role": "user", "content": one}] if self.as_chat else one for one in asked]
        said = [self.answered.format(answer=one) for one in answers]
        cases = [Case(prompt, reply=one) for prompt in told for one in said]
        scores = torch.tensor(likelihoods(self.target, cases, Dose(0))).view(-1, len(answers))
        return scores.softmax(dim=1)[:, 0].tolist()

    def choices(self, concept: Concept) -> tuple[list[str], str]:
        """Return the answers, the concept's first, and the question that names them.

        Of more than seven others seven are drawn, the same ones for a concept in every run.
        """
        others = sorted(
            {one.answer for one in self.others if one.question == concept.question}
            - {concept.answer}
        )
        if not others:
            question = _YES_NO.format(question=concept.question, answer=concept.answer)
            return ["Yes", "No"], question
        drawn = Random(concept.name).sample(others, min(OTHERS, len(others)))
        # By the alphabet, as the place in the list should tell nothing.
        listed = ", ".join(sorted([concept.answer, *drawn]))
        return [concept.answer, *drawn], _CHOOSE.format(question=concept.question, choices=listed)


@dataclass(frozen=True)
class ApiJudge:
    """A model behind an interface, through inspect_ai (extra `inspect`), which says Yes or No."""

    name: str
    """As inspect_ai names it: `openai/gpt-4o-mini`, `hf/Qwen/Qwen3-8B`."""
    asked: str = ASKED
    """What the model is told, with `{text}` and `{question}` in it."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `inspect_ai.model.get_model`."""

    def __call__(self, texts: Sequence[str], concept: Concept) -> list[float]:
        """Return 1 for each text of which the model says Yes, and 0 where it says No.

        Raises:
            ConfigError: inspect_ai is not installed, or knows no such model.
            DataError: the model said neither Yes nor No.
        """
        question = _YES_NO.format(question=concept.question, answer=concept.answer)
        asked = [self.asked.format(text=text, question=question) for text in texts]
        # In a thread of its own, as a notebook's has a running loop already.
        with ThreadPoolExecutor(1) as thread:
            said = thread.submit(asyncio.run, self._said(asked)).result()
        return [self._score(one) for one in said]

    async def _said(self, asked: Sequence[str]) -> list[str]:
        models = _inspect_models()
        try:
            # Not kept by inspect for later: its connections belong to this loop.
            model = models.get_model(self.name, memoize=False, **self.settings)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"inspect_ai cannot load the judge {self.name!r}: {error}") from error
        async with model:
            how = models.GenerateConfig(temperature=0)
            outputs = await asyncio.gather(*(model.generate(one, config=how) for one in asked))
        return [one.completion for one in outputs]

    def _score(self, said: str) -> float:
        found = re.search(r"\b(yes|no)\b", said, re.IGNORECASE)
        if found is None:
            raise DataError(
                f"The judge {self.name} was to say Yes or No, and said {said[:200]!r}. Take "
                "another model, or word `asked` more clearly."
            )
        return float(found[0].casefold() == "yes")


@lru_cache(maxsize=1024)
def _words(words: tuple[str, ...]) -> re.Pattern[str]:
    some = (r"\s+".join(map(re.escape, _plain(one).split())) for one in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(some)})(?!\w)", re.IGNORECASE)


def _plain(text: str) -> str:
    """Return a text with straight apostrophes, as models write either."""
    return text.replace("\u2019", "'")


@lru_cache(maxsize=1024)
def _fitted(name: str, about: Sequence[str], not_about: Sequence[str], strength: float) -> Any:
    """Return something with `predict_proba`, fitted to a concept's texts."""
    if not about:
        raise DataError(
            f"A classifier learns {name!r} from texts about it, which it lacks. Give it "
            "`about` and `not_about`, or take another judge."
        )
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError as error:
        raise ConfigError(
            "This judge needs scikit-learn: pip install 'activation-oracles[eval]'."
        ) from error
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    fitted = make_pipeline(words, LogisticRegression(C=strength, max_iter=2000))
    try:
        return fitted.fit([*about, *not_about], [1] * len(about) + [0] * len(not_about))
    except ValueError as error:
        raise DataError(f"A classifier cannot learn {name!r}: {error}") from error


def _inspect_models() -> Any:
    try:
        return import_module("inspect_ai.model")
    except ImportError as error:
        raise ConfigError(
            "A judge behind an interface needs inspect_ai: pip install "
            "'activation-oracles[inspect]', or take another judge."
        ) from error
