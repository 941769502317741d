"""A run small enough to be killed many times."""

import json

import pytest

from activation_oracles.models.load import load
from activation_oracles.tasks import store
from activation_oracles.tasks.config import DataConfig
from activation_oracles.tasks.task import random_for
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.types import Example

ANSWERS = ("moon", "boat", "river", "the old mill")


@pytest.fixture(scope="session")
def make_examples():
    """Return a maker of examples over random ids, whose answer the last of them decides."""

    def make(count: int) -> list[Example]:
        numbers = random_for(count, "examples")
        examples = []
        for number in range(count):
            context = tuple(numbers.randrange(3, 300) for _ in range(numbers.randrange(4, 12)))
            examples.append(
                Example(
                    context=context,
                    positions=tuple(range(len(context) - numbers.choice((1, 3)), len(context))),
                    layers=numbers.choice(((1,), (2,), (1, 2))),
                    question="What is the secret word?",
                    answer=ANSWERS[context[-1] % len(ANSWERS)],
                    task="even" if number % 2 else "odd",
                    source=f"text {number}",
                )
            )
        return examples

    return make


@pytest.fixture(scope="session")
def data(tmp_path_factory, tiny_model, make_examples):
    """Return a folder of 26 training and 6 held-out examples for the tiny model."""
    folder = tmp_path_factory.mktemp("data")
    tokenizer = load(str(tiny_model), device="cpu").tokenizer_hash
    manifest = store.Manifest(seed=0, command="a test", tokenizer=tokenizer)
    examples = make_examples(32)
    return store.write(folder, {"train": examples[:26], "held_out": examples[26:]}, manifest)


@pytest.fixture
def config(tiny_model, data, tmp_path):
    """Return settings for 12 steps over 2 epochs, with dropout on."""
    return TrainConfig(
        model=str(tiny_model),
        data=(str(data),),
        output=str(tmp_path / "run"),
        device="cpu",
        lora=Lora(rank=4, alpha=8, dropout=0.2),
        learning_rate=1e-2,
        batch_size=4,
        epochs=2,
        window=2,
        evaluate_every=5,
        evaluate_examples=2,
        save_every=3,
        log_every=2,
    )


@pytest.fixture
def texts(tmp_path):
    """Return a file of forty texts."""
    path = tmp_path / "texts.jsonl"
    lines = [{"text": f"The mill number {n} stands by the old river and turns."} for n in range(40)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture
def mixture(texts):
    """Return a mixture of one task, context prediction in these texts."""
    task = {"kind": "context_prediction", "files": [str(texts)], "widths": [3], "max_wanted": 3}
    return DataConfig(tasks=[task], layer_percents=[50.0])
