"""What tests of training share: a run that is killed, other settings, an example that is shown."""

from activation_oracles.training.config import TrainConfig
from activation_oracles.types import Example

RECITAL = Example(
    context=(5, 6, 7, 8, 9),
    positions=(1, 2, 3),
    layers=(1,),
    question="What is said?",
    answer="moon",
    task="recital",
    source="a text",
)


class KilledError(RuntimeError):
    """The machine went away."""


def killed_after(step):
    """Return a progress that kills the run after a step."""

    def watch(found):
        for one in found:
            yield one
            if one.done == step:
                raise KilledError

    return watch


def changed(config, **settings) -> TrainConfig:
    """Return other settings, checked as if they had been given."""
    return TrainConfig(**{**config.model_dump(), **settings})
