"""Probes: logistic regression, or nearest neighbours, on the very activations the oracle is shown.

One for every task and choice of layers, fitted on the training rows and asked on the same rows as
the oracle. A probe knows the task's answers beforehand and is trained on nothing else: what it
reads is there to be read, and an oracle far below it leaves something unread. Nearest neighbours
need no training at all: they repeat the label of the text that is most alike.
"""

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from activation_oracles.errors import ConfigError, DataError
from activation_oracles.types import Example

Pool = Literal["mean", "last"]
Read = Callable[[Sequence[Example]], Sequence[Float[Tensor, "slot d_model"]]]
"""Returns what the oracle would be shown for each example, as `Target.vectors` does."""

Kind = Literal["linear probe", "nearest neighbours"]

NUM_FOLDS = 4
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_NUM_NEIGHBOURS = (1, 3, 10, 30)
_YES_NO = frozenset({"yes", "no"})

_Key = tuple[str, tuple[int, ...], str | None]


def pooled(
    vectors: Float[Tensor, "slot d_model"], num_layers: int, pool: Pool
) -> Float[Tensor, " feature"]:
    """Return one row of features: at each layer the mean or last vector, layer after layer."""
    by_layer = vectors.float().reshape(num_layers, -1, vectors.shape[-1])
    chosen = by_layer.mean(dim=1) if pool == "mean" else by_layer[:, -1]
    return chosen.flatten()


@dataclass
class Probe:
    """Classifiers of standardised activations; what they leave open is chosen by cross-validation.

    `linear probe`: logistic regression, of which regularisation. `nearest neighbours`: the most
    frequent answer of the most similar texts (cosine), of how many.
    """

    kind: Kind
    read: Read
    """How to get the activations of an example."""
    pool: Pool = "mean"
    """What the probe sees of several positions: their mean, or the last one."""
    seed: int = 0
    """Decides the folds of the cross-validation."""
    control: str | None = None
    _probes: dict[_Key, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """Who answers: the probe and what it sees."""
        return f"{self.kind}, {self.pool}"

    def fit(self, examples: Sequence[Example]) -> "Probe":
        """Fit one probe for each task and choice of layers; return self.

        Questions whose answers are yes and no get a probe each, because the same activations mean
        yes to one question and no to another; other questions of one task share one.

        Raises:
            DataError: there are no examples.
            ConfigError: scikit-learn is not installed.
        """
        if not examples:
            raise DataError("A probe needs training examples.")
        self._probes = {}
        rows: defaultdict[_Key, list[int]] = defaultdict(list)
        for index, one in enumerate(examples):
            rows[_key(one)].append(index)
        features = self._features(examples)
        for key, indices in rows.items():
            chosen = [examples[index] for index in indices]
            self._probes[key] = _fitted(
                self.kind, np.stack([features[index] for index in indices]), chosen, self.seed
            )
        return self

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return the most probable answer to each example.

        Raises:
            DataError: a task, layer or yes-or-no question was not among the training examples.
        """
        rows: defaultdict[_Key, list[int]] = defaultdict(list)
        for index, one in enumerate(examples):
            rows[self._known(one)].append(index)
        features = self._features(examples)
        answers = [""] * len(examples)
        for key, indices in rows.items():
            said = self._probes[key].predict(np.stack([features[index] for index in indices]))
            for index, text in zip(indices, said, strict=True):
                answers[index] = str(text)
        return answers

    def _features(self, examples: Sequence[Example]) -> list[NDArray[np.float32]]:
        with torch.no_grad():
            return [
                pooled(vectors, len(one.layers), self.pool).cpu().numpy()
                for one, vectors in zip(examples, self.read(examples), strict=True)
            ]

    def _known(self, example: Example) -> _Key:
        for known in _keys(example):
            if known in self._probes:
                return known
        raise DataError(
            f"No probe was fitted for task {example.task!r} at layers {example.layers}: it needs "
            "training examples of the same task, layers and, for yes-or-no questions, the same "
            "wording."
        )


@dataclass
class Fitting:
    """A probe that is fitted when it is first asked: a run that goes on may ask it nothing."""

    probe: Probe
    training: Sequence[Example]
    """What it is fitted to."""
    _is_fitted: bool = field(default=False, init=False, repr=False)

    @property
    def name(self) -> str:
        """Who answers: the probe and what it sees."""
        return self.probe.name

    @property
    def control(self) -> str | None:
        """What is put in place of what should be read; None for the real thing."""
        return self.probe.control

    def answer(self, examples: Sequence[Example]) -> list[str]:
        """Return the most probable answer to each example; raise what fitting and asking do."""
        if not self._is_fitted:
            self.probe.fit(self.training)
            self._is_fitted = True
        return self.probe.answer(examples)


def check_fitting() -> None:
    """See that probes can be fitted, before anybody answers.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    try:
        import_module("sklearn")
    except ImportError as error:
        raise ConfigError(
            "Probes need scikit-learn: pip install 'activation-oracles[eval]'."
        ) from error


def unknown(examples: Sequence[Example], training: Sequence[Example]) -> list[Example]:
    """Return the examples that no probe fitted to `training` can answer."""
    fitted = {_key(one) for one in training}
    return [one for one in examples if fitted.isdisjoint(_keys(one))]


def _keys(example: Example) -> tuple[_Key, _Key]:
    # Not by the example's own answer: that is what the probe is asked for.
    task, layers = example.task, example.layers
    return (task, layers, example.question), (task, layers, None)


def _key(example: Example) -> _Key:
    yes_no = example.answer.casefold() in _YES_NO
    return example.task, example.layers, example.question if yes_no else None


def _fitted(
    kind: Kind, features: NDArray[np.float32], examples: Sequence[Example], seed: int
) -> Any:
    """Return something with `predict`, fitted to tell the examples' answers apart."""
    check_fitting()
    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import FitFailedWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    answers = np.array([one.answer for one in examples])
    if len(set(answers)) < 2:
        return DummyClassifier(strategy="most_frequent").fit(features, answers)
    # Folds keep windows of one text together: else a probe is chosen for recognising texts.
    places = {text: place for place, text in enumerate(dict.fromkeys(o.source for o in examples))}
    linear = kind == "linear probe"
    classifier = (
        LogisticRegression(max_iter=2000) if linear else KNeighborsClassifier(1, metric="cosine")
    )
    model = make_pipeline(StandardScaler(), classifier)
    if len(places) < NUM_FOLDS:
        return model.fit(features, answers)
    folds = GroupKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    groups = np.array([places[one.source] for one in examples])
    fewest = min(len(fitted) for fitted, _ in folds.split(features, answers, groups))
    choices = (
        {"logisticregression__C": _STRENGTHS}
        if linear
        else {"kneighborsclassifier__n_neighbors": [n for n in _NUM_NEIGHBOURS if n <= fewest]}
    )
    search = GridSearchCV(model, choices, cv=folds, error_score=0.0)
    with warnings.catch_warnings():
        # A part without one rare answer's other class cannot be fitted: it counts as all wrong.
        warnings.filterwarnings("ignore", category=FitFailedWarning)
        return search.fit(features, answers, groups=groups)
