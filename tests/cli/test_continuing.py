import json

import pytest
import yaml

from activation_oracles.cli.main import main
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.tasks import store

STORY = "The old mill stands by the river, and the miller sings on day {}."


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "stories.txt").write_text("\n\n".join(STORY.format(n) * 2 for n in range(12)))
    return tmp_path


def run(folder, model, *more):
    return main(
        [
            *("data", "continue", "--model", str(model), "--out", str(folder / "own.jsonl")),
            *("--batch-size", "5", "--max-new-tokens", "24", *map(str, more)),
        ]
    )


def rows_of(folder):
    return [json.loads(line) for line in (folder / "own.jsonl").read_text().splitlines()]


def test_a_model_goes_on_and_is_asked_about_it(folder, tiny_model, capsys):
    assert run(folder, tiny_model, "--data", folder / "stories.txt", "--temperature", "0") == 0
    assert "own.jsonl: 12 texts" in capsys.readouterr().out
    target = Target(load(str(tiny_model), device="cpu"))
    rows = rows_of(folder)
    for row in rows:
        text = target.model.tokenizer.decode(row["given"])
        if target.encode(text) == tuple(row["given"]):
            assert row["text"] == target.generate(text, max_new_tokens=24)
    task = {"kind": "on_policy", "files": ["own.jsonl"], "max_wanted": 4}
    config = {"held_out": 0.3, "tasks": [task]}
    (folder / "data.yaml").write_text(yaml.safe_dump(config))
    names = {"--config": folder / "data.yaml", "--model": tiny_model, "--out": folder / "out"}
    assert main(["data", "build", *(str(word) for pair in names.items() for word in pair)]) == 0
    whole = {row["source"]: tuple(row["given"] + row["own"]) for row in rows}
    examples = list(store.read(folder / "out", "train"))
    assert examples
    assert all(whole[one.source][: len(one.context)] == one.context for one in examples)
    sources = store.read_manifest(folder / "out")["sources"]
    assert {"own.jsonl", "own.manifest.json"} <= set(sources)


def test_drawn_continuations_are_the_seeds(folder, tiny_model):
    found = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (folder / name).mkdir()
        (folder / f"{name}/stories.txt").write_bytes((folder / "stories.txt").read_bytes())
        config = {"files": ["stories.txt"], "seed": seed}
        (folder / name / "own.yaml").write_text(yaml.safe_dump(config))
        assert run(folder / name, tiny_model, "--config", folder / name / "own.yaml") == 0
        found[name] = (folder / name / "own.jsonl").read_bytes()
    assert found["a"] == found["b"] != found["c"]
    manifest = json.loads((folder / "a" / "own.manifest.json").read_text())
    assert manifest["provenance"]["model"] == str(tiny_model)
    assert manifest["config"]["temperature"] == 1.0


def test_mistakes_are_one_line(folder, tiny_model, capsys):
    for more, message in (
        (("--data", folder / "nowhere.txt"), "nowhere.txt cannot be read"),
        ((), "give `files`"),
        (("--data", folder / "stories.txt", "--temperature", "-1"), "temperature"),
    ):
        assert run(folder, tiny_model, *more) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in error
