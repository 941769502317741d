import json
import shutil

import pytest

from activation_oracles.cli.main import main
from activation_oracles.training import publish

REPO = "someone/an-oracle"


@pytest.fixture
def push(capsys):
    def run(*settings) -> tuple[int, str, str]:
        code = main(["push", *map(str, settings), "--base-model", "someone/tiny"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def complete(oracle_folder, tmp_path):
    """Return an oracle's folder whose card says all that a stranger must know."""
    folder = shutil.copytree(oracle_folder, tmp_path / "oracle")
    card = json.loads((folder / "ao_config.json").read_text())
    card["training"] = {"steps": 9}
    score = {"num_examples": 8, "loss": 0.5, "accuracy": 0.5, "num_answers": 8}
    card["scores"] = {"held_out": {"sst2": score}}
    (folder / "ao_config.json").write_text(json.dumps(card))
    return folder


def test_a_dry_run_lists_what_would_be_uploaded_and_writes_it(push, complete, tmp_path):
    code, output, _ = push(complete, REPO, "--dry-run", "--out", tmp_path / "out")
    names = {"adapter_model.safetensors", "adapter_config.json", "ao_config.json", "README.md"}
    assert code == 0
    assert {line.split()[-1] for line in output.splitlines()[:-1]} == names
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_without_a_token_nothing_is_sent(push, complete, monkeypatch):
    monkeypatch.setattr(publish, "get_token", lambda: None)
    code, output, errors = push(complete, REPO)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "hf auth login" in errors


def test_what_is_sent_is_told_by_its_address(push, complete, monkeypatch):
    class Hub:
        """Stands in for huggingface_hub's client."""

        def __init__(self, token) -> None:
            self.token = token

        def create_repo(self, repo_id, *, private, exist_ok):
            assert private

        def model_info(self, repo_id):
            return self

        private = True
        commit_url = "https://hub/commit/1"

        def create_commit(self, repo_id, operations, *, commit_message):
            return self

    monkeypatch.setattr(publish, "get_token", lambda: "a token")
    monkeypatch.setattr(publish, "HfApi", Hub)
    assert push(complete, REPO, "--private")[:2] == (0, "https://hub/commit/1\n")


def test_an_incomplete_oracle_is_one_clear_line(push, oracle_folder):
    code, output, errors = push(oracle_folder, REPO, "--dry-run")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "says nothing of training" in errors


def test_a_folder_for_a_copy_goes_with_a_dry_run(push, complete, tmp_path):
    code, _, errors = push(complete, REPO, "--out", tmp_path / "out")
    assert code == 2
    assert "--dry-run" in errors
