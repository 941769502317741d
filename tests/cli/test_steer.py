import json

import pytest
import torch

from activation_oracles.cli.main import main
from activation_oracles.types import Activations


@pytest.fixture
def steer(capsys):
    def run(*settings) -> tuple[int, str, str]:
        code = main(["steer", *map(str, settings)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def moon(tmp_path):
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn((1, 32), generator=generator)
    path = tmp_path / "moon.safetensors"
    Activations.own(vectors, layer=1, note="moon").save(path)
    return path


@pytest.fixture
def usual(tiny_model, moon):
    short = ("--device", "cpu", "--max-new-tokens", 4)
    return ("--target", tiny_model, "--vector", moon, *short)


def test_each_strength_stands_beside_what_is_not_steered(steer, usual):
    code, output, errors = steer(
        *usual, "--prompt", "Anna likes apples.", "--sweep", -4, 0, 2, "--strength", 1.5
    )
    lines = output.splitlines()
    assert (code, lines[0], lines[-1]) == (0, "> Anna likes apples.", "")
    assert [line.split()[0] for line in lines[1:-1]] == ["unsteered", "x", "x"]
    assert [line.split()[1] for line in lines[2:-1]] == ["-4", "2"]
    assert errors.count("\n") == 1
    assert "For research" in errors


def test_the_file_says_what_was_added_and_where_it_comes_from(steer, usual, moon, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    chat = [{"role": "user", "content": "Who sings?"}]
    prompts.write_text(
        json.dumps({"prompt": "Anna likes"}) + "\n" + json.dumps({"messages": chat}) + "\n"
    )
    out = tmp_path / "new" / "said.jsonl"
    where = ("--where", "generated", "--unit", "absolute", "--layer", 2, "--plain")
    code, _, _ = steer(*usual, "--prompts", prompts, "--sweep", -40, 40, *where, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert code == 0
    assert [row["factor"] for row in rows] == [0, -40, 40] * 2
    assert [row["prompt"] for row in rows] == ["Anna likes"] * 3 + [chat] * 3
    assert all(row["text"] == row["unsteered"] for row in rows[::3])
    assert any(row["text"] != row["unsteered"] for row in rows)
    assert rows[0]["vectors"][0]["file"] == str(moon)
    assert rows[0]["vectors"][0]["provenance"]["history"] == ["own vectors: moon"]
    told = [rows[0][name] for name in ("layers", "unit", "where")]
    assert told == [[2], "absolute", "generated"]


def test_a_vector_of_other_weights_is_said_to_be_one(steer, usual, tiny_model, tmp_path):
    from dataclasses import replace

    other = Activations.own(torch.ones(1, 32), layer=1, note="x", model="another")
    other = replace(other, provenance=replace(other.provenance, fingerprint="0123"))
    other.save(tmp_path / "other.safetensors")
    settings = ("--vector", tmp_path / "other.safetensors", "--prompt", "moon")
    _, _, errors = steer("--target", tiny_model, "--device", "cpu", *settings)
    assert "comes from another, whose weights are not those" in errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), "nothing to go on with"),
        (("--prompts", "none.txt"), "cannot be read"),
        (("--prompt", "moon", "--layer", "9"), "blocks 0 to 3"),
        (("--prompt", "moon", "--strength", "1", "2"), "got 2 for 1"),
        (("--prompt", "moon", "--strength", "nan"), "NaN or infinity"),
    ],
)
def test_what_cannot_be_steered_is_one_clear_line(steer, usual, settings, message):
    code, output, errors = steer(*usual, *settings)
    assert (code, output) == (2, "")
    assert message in errors.splitlines()[-1]


def test_a_line_that_is_no_prompt_is_named(steer, usual, tmp_path):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "moon"}\n{"text": "moon"}\n')
    code, _, errors = steer(*usual, "--prompts", prompts)
    assert code == 2
    assert "line 2 holds neither" in errors


def test_vectors_are_exported_for_llama_cpp(steer, moon, tmp_path):
    pytest.importorskip("gguf", reason="gguf is not installed (extra: steer)")
    out = tmp_path / "moon.gguf"
    settings = ("--out", out, "--model-type", "llama", "--strength", -2)
    code, output, _ = steer("export", "--vector", moon, *settings)
    assert (code, output) == (0, f"{out}: after blocks 1\n")
    assert out.read_bytes().startswith(b"GGUF")
