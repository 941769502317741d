"""Everything is checked before the hub is asked, and what goes there goes in one commit."""

import json
import shutil
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file, save_file

from activation_oracles.errors import ConfigError, DataError, ModelError, OracleError
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.training.config import Lora, TrainConfig
from activation_oracles.training.loop import train
from activation_oracles.training.publish import About, publish, ready

REPO = "someone/an-oracle"
ABOUT = About(base_model="someone/tiny")
FILES = {"adapter_model.safetensors", "adapter_config.json", "ao_config.json", "README.md"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, data):
    """Return a folder as `ao train` leaves it."""
    config = TrainConfig(
        model=str(tiny_model),
        data=(str(data),),
        output=str(tmp_path_factory.mktemp("published") / "run"),
        device="cpu",
        lora=Lora(rank=4, alpha=8),
        learning_rate=1e-2,
        batch_size=4,
        max_steps=2,
    )
    return train(config, progress=lambda found: found)


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "oracle")


class FakeHub:
    """Keeps what it is told, and refuses what it is told to refuse."""

    def __init__(self, *, token="a token", is_private=False, error=None) -> None:
        self.token, self.is_private, self.error = token, is_private, error
        self.calls, self.commits = [], []

    def create_repo(self, repo_id, *, private, exist_ok):
        self.calls.append(("create_repo", repo_id, private, exist_ok))

    def model_info(self, repo_id):
        return SimpleNamespace(private=self.is_private)

    def create_commit(self, repo_id, operations, *, commit_message):
        if self.error:
            raise self.error
        self.commits.append({one.path_in_repo: _content(one) for one in operations})
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


def _content(operation) -> bytes:
    with operation.as_file() as file:
        return file.read()


def edit(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_one_commit_holds_adapter_card_and_model_card(folder):
    hub = FakeHub()
    address = publish(ready(folder, REPO, ABOUT), hub=hub)
    (commit,) = hub.commits
    assert set(commit) == FILES
    assert (
        commit["adapter_model.safetensors"] == (folder / "adapter_model.safetensors").read_bytes()
    )
    assert hub.calls == [("create_repo", REPO, None, True)]
    assert address == f"https://hub/{REPO}/commit/1"


def test_what_is_published_names_the_base_by_its_hub_id_everywhere(folder, tmp_path):
    published = ready(folder, REPO, ABOUT).write(tmp_path / "out")
    assert json.loads((published / "ao_config.json").read_text())["model_name"] == "someone/tiny"
    settings = json.loads((published / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "someone/tiny"
    text = (published / "README.md").read_text()
    assert "base_model: someone/tiny" in text
    assert f'from_pretrained("{REPO}")' in text


def test_no_folder_of_this_machine_is_published(folder, tmp_path, tiny_model, data):
    card = json.loads((folder / "ao_config.json").read_text())
    card["training"]["data"][0]["command"] = (
        f"ao data build --config '{data}/a.yaml' --out={data} --seed 3 "
        "C:\\mine\\x.yaml and/or ~/y/z"
    )
    edit(folder / "ao_config.json", training=card["training"])
    published = ready(folder, REPO, ABOUT).write(tmp_path / "out")
    for file in published.glob("*.*[nd]"):
        assert str(tmp_path.parent) not in file.read_text(), file
        assert str(tiny_model) not in file.read_text(), file
    training = json.loads((published / "ao_config.json").read_text())["training"]
    assert training["config"]["model"] == tiny_model.name
    assert training["config"]["learning_rate"] == 0.01
    assert training["data"][0]["command"] == (
        f"ao data build --config 'a.yaml' --out={data.name} --seed 3 x.yaml and/or z"
    )


def test_what_is_published_is_an_oracle(folder, tmp_path, tiny_model):
    published = ready(folder, REPO, ABOUT).write(tmp_path / "out")
    oracle = Oracle.from_pretrained(str(published), model=str(tiny_model), device="cpu")
    assert oracle.card.trained_layers == (1, 2)


def test_scores_of_an_evaluation_go_into_card_and_model_card(folder, tmp_path):
    interval = {"score": 0.8, "low": 0.7, "high": 0.9, "num_answers": 8, "num_units": 4}
    row = {"task": "odd", "who": "oracle", "estimate": interval, "chance": 0.25}
    rows = [row | {"control": name} for name in (None, "nothing", "donor")]
    scores = tmp_path / "scores"
    scores.mkdir()
    (scores / "table.json").write_text(json.dumps({"rows": rows, "gains": []}))
    about = About(base_model="someone/tiny", scores=str(scores), license_id="mit")
    upload = ready(folder, REPO, about)
    held = json.loads(upload.files["ao_config.json"])["scores"]
    assert set(held) == {"held_out", "evaluated"}
    assert len(held["evaluated"]["rows"]) == 3
    text = upload.files["README.md"].decode()
    assert "control: donor" in text
    assert "license: mit" in text
    with pytest.raises(DataError, match="ao eval"):
        ready(folder, REPO, About(base_model="someone/tiny", scores=str(tmp_path / "none")))


def test_without_a_token_the_hub_is_not_asked(folder):
    hub = FakeHub(token=None)
    with pytest.raises(ConfigError, match="hf auth login"):
        publish(ready(folder, REPO, ABOUT), hub=hub)
    assert hub.calls == []


def test_a_public_repository_is_not_filled_when_a_private_one_was_meant(folder):
    hub = FakeHub(is_private=False)
    with pytest.raises(ConfigError, match="is public"):
        publish(ready(folder, REPO, ABOUT), private=True, hub=hub)
    assert hub.commits == []
    hub = FakeHub(is_private=True)
    publish(ready(folder, REPO, ABOUT), private=True, hub=hub)
    assert hub.calls == [("create_repo", REPO, True, True)]
    assert len(hub.commits) == 1


def test_a_refusal_of_the_hub_is_told(folder):
    hub = FakeHub(error=HfHubHTTPError("403: this token may not write", response=_response()))
    with pytest.raises(ConfigError, match="may not write"):
        publish(ready(folder, REPO, ABOUT), hub=hub)


def _response():
    return SimpleNamespace(headers={}, request=None, status_code=403)


def take_out(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def card_with(**fields):
    return lambda folder: edit(folder / "ao_config.json", **fields)


def silence(folder):
    path = folder / "adapter_model.safetensors"
    save_file({name: one * 0 for name, one in load_file(path).items()}, path)


def pickle_only(folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


@pytest.mark.parametrize(
    ("change", "about", "message"),
    [
        (take_out("adapter_config.json"), ABOUT, r"holds no adapter_config\.json"),
        (take_out("ao_config.json"), ABOUT, r"has no ao_config\.json"),
        (pickle_only, ABOUT, "never from a pickle"),
        (silence, ABOUT, "B matrices are zero"),
        (card_with(act_layer_combinations=[]), ABOUT, "names no layers"),
        (card_with(d_model=48), ABOUT, "cannot be published: .*width"),
        (card_with(base_fingerprint=None), ABOUT, "says nothing of fingerprint"),
        (card_with(training={}), ABOUT, "says nothing of training"),
        (card_with(scores={"held_out": {}}), ABOUT, "holds no scores"),
        (card_with(scores={"held_out": {"t": 1}}), ABOUT, "held-out scores"),
        (lambda _: None, About(), "a folder of this machine"),
        (lambda _: None, About(base_model="tiny"), "'tiny' is no hub id"),
        (lambda _: None, About(base_model="a/b", datasets=("a b",)), "'a b' is no hub id"),
        (shutil.rmtree, ABOUT, "is no folder"),
    ],
)
def test_what_must_not_be_published_is_one_clear_error(folder, change, about, message):
    change(folder)
    with pytest.raises((ConfigError, ModelError), match=message):
        ready(folder, REPO, about)


@pytest.mark.parametrize("repo", ["alone", "a/b/c", "a b/c", "../up"])
def test_a_name_that_the_hub_would_not_take_is_refused(folder, repo):
    with pytest.raises(OracleError, match="no hub id"):
        ready(folder, repo, ABOUT)


def test_a_folder_that_is_in_use_is_not_written_to(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        ready(folder, REPO, ABOUT).write(tmp_path / "out")
