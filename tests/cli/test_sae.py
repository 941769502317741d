"""`ao eval --sae`: what is written of an SAE's features, beside an oracle's answers."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from activation_oracles.cli.eval import Eval
from activation_oracles.errors import ConfigError
from activation_oracles.evals.running import kept
from activation_oracles.models.target import Target
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")


@pytest.fixture
def data(tmp_path):
    """Return a folder of questions with two answers and with many, at layers 1 and 2."""
    from activation_oracles.tasks import store

    def example(number):
        context = tuple(20 + (number * step) % 300 for step in range(1, 8))
        closed = number % 4 < 2
        return Example(
            context=context,
            positions=(5, 6),
            layers=(1 + number % 2,),
            question="Which colour?" if closed else "What comes?",
            answer=("red", "blue")[number // 4 % 2] if closed else f"river {number} sings",
            task="classification/colour" if closed else "context",
            source=f"text {number}",
        )

    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    splits = {
        "train": [example(n) for n in range(48)],
        "held_out": [example(n) for n in range(100, 148)],
    }
    return str(store.write(tmp_path / "data", splits, manifest))


@pytest.fixture
def sae(tmp_path):
    """Return the settings of an SAE whose only features point one way and the other."""
    way = torch.nn.functional.normalize(torch.randn(1, 32, generator=torch.manual_seed(0)))
    save_file({"decoder": torch.cat([way, -way])}, tmp_path / "decoder.safetensors")
    lines = [
        {"feature": n, "explanation": f"the colour {c}"} for n, c in enumerate(("red", "blue"))
    ]
    (tmp_path / "explained.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return {
        "sae": str(tmp_path / "decoder.safetensors"),
        "explanations": str(tmp_path / "explained.jsonl"),
        "sae_layer": 1,
    }


def test_sae_features_answer_what_shows_their_layer(oracle_folder, data, sae, tmp_path):
    oracle = str(oracle_folder)
    out = tmp_path / "out"
    how = {"oracle": oracle, "data": data, "limit": 6, "max_new_tokens": 4, "out": str(out)}
    Eval(**how, **sae).run()
    said = [record for record in kept(out) if record.who == "SAE features"]
    asked = [one.example for one in kept(out) if (one.who, one.control) == ("oracle", None)]
    assert len(said) == sum(one.layers == (1,) for one in asked) > 0
    rows = load_file(sae["sae"])["decoder"]
    target = Target(Oracle.from_pretrained(oracle).model)
    for record in said:
        [shown] = target.vectors([record.example])
        red, blue = ((shown @ row).relu().mean() for row in rows)
        wins = "red" if red > blue else "blue"
        assert wins in record.text
        assert (record.text == wins) == record.example.task.startswith("classification")


def test_an_sae_without_its_parts_or_of_a_layer_that_nothing_shows_is_refused(
    oracle_folder, data, sae
):
    for missing in sae:
        some = {name: value for name, value in sae.items() if name != missing}
        with pytest.raises(ConfigError, match="all three"):
            Eval(oracle="nowhere", data=data, **some).run()
    with pytest.raises(ConfigError, match="layer 3, and no question shows it"):
        Eval(oracle=str(oracle_folder), data=data, limit=6, **{**sae, "sae_layer": 3}).run()
