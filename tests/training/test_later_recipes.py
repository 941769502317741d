"""What later work trained on is added to the paper's mixture, or named where it is missing."""

import json

import pytest

from activation_oracles.errors import DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.build import build
from activation_oracles.tasks.config import DataConfig
from activation_oracles.tasks.continuing import ContinueConfig, Continuing
from activation_oracles.training.recipes import Sources, settings_of

ADDED = {
    "paper+conversational": "conversation",
    "paper+on-policy": "on_policy",
    "paper+prefix-suffix": "prefix_suffix",
    "abstaining": "unanswerable",
}


def mixture(name: str, **fields) -> DataConfig:
    return DataConfig(**settings_of(name, Sources(**fields))["mixture"])


@pytest.mark.parametrize(("name", "kind"), ADDED.items())
def test_a_later_recipe_is_the_papers_and_one_task_more(name, kind):
    whole = mixture(name)
    assert whole.tasks[:-1] == mixture("paper").tasks
    assert whole.tasks[-1].kind == kind
    if kind != "unanswerable":
        assert whole.tasks[-1].expects == 60_000
        assert mixture(name, scale=0.01).tasks[-1].expects == 600


@pytest.mark.parametrize(
    ("name", "file", "how"),
    [
        ("paper+conversational", "conversational/questions.json", "arXiv 2606.02609"),
        ("paper+on-policy", "on_policy/continuations.jsonl", "`ao data continue --model"),
    ],
)
def test_a_missing_file_is_named_with_its_size_and_how_to_get_it(
    tmp_path, tiny_tokenizer, name, file, how
):
    whole = mixture(name, scale=0.1)
    later = whole.model_copy(update={"tasks": whole.tasks[-1:]})
    with pytest.raises(DataError) as error:
        build(later, tmp_path / "out", tiny_tokenizer, 4, root=tmp_path)
    assert f"{tmp_path}/datasets/{file}" in str(error.value)
    assert "about 6,000 examples" in str(error.value)
    assert how in str(error.value)


def test_where_the_recipes_look_their_files_are_found(tmp_path, tiny_tokenizer):
    folder = tmp_path / "datasets"
    (folder / "conversational").mkdir(parents=True)
    entry = {"prefix_text": "The old ", "question": "What?", "answer": "A mill."}
    entries = [{**entry, "selected_text": f"mill {number}."} for number in range(300)]
    (folder / "conversational" / "questions.json").write_text(json.dumps({"entries": entries}))
    texts = "\n\n".join(f"The old mill number {number} sings." for number in range(300))
    (tmp_path / "texts.txt").write_text(texts)
    own = Continuing(ContinueConfig(files=("texts.txt",)), tiny_tokenizer, {}, tmp_path)
    own.write(
        folder / "on_policy" / "continuations.jsonl",
        lambda prompts, *, seed: [[9] * 60 for _ in prompts],
    )
    for name in ("paper+conversational", "paper+on-policy"):
        whole = mixture(name, scale=0.003)
        later = whole.model_copy(update={"tasks": whole.tasks[-1:]})
        made = build(later, tmp_path / name, tiny_tokenizer, 4, root=tmp_path)
        splits = store.read_manifest(made)["splits"]
        assert 150 < sum(split["examples"] for split in splits.values()) <= 180
