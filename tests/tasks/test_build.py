"""A data set is built whole from one file, or refused with one line that says why."""

import json

import pytest
import yaml

from activation_oracles.cli.main import main
from activation_oracles.errors import DataError
from activation_oracles.tasks import store
from activation_oracles.tasks.sources import read_documents, read_rows
from activation_oracles.tasks.system_prompt import read_asked, read_latentqa

STORY = "The old mill stands by the river, and the miller sings to the moon all day. "


@pytest.fixture
def folder(tmp_path):
    """Return a folder with one source of every kind and a config that names them."""
    stories = [STORY * 3 + f"It was day {n}." for n in range(30)]
    (tmp_path / "stories.txt").write_text("\n\n".join(stories))
    chats = [f"User: Hello {n}\nBot: {STORY}\nUser: Why?\nBot: {STORY}" for n in range(20)]
    (tmp_path / "chats.txt").write_text("\n\n".join(chats))
    table = [f"{'good' if n % 2 else 'bad'} day number {n}\t{n % 2}" for n in range(40)]
    (tmp_path / "days.tsv").write_text("\n".join(table))
    (tmp_path / "wordings.json").write_text(json.dumps({"days": {"days": ["Is it a {} day?"]}}))
    rows = [
        {
            "messages": [
                {"role": "system", "content": f"Never say {n}."},
                {"role": "user", "content": "Count."},
            ],
            "question": "What is forbidden?",
            "answer": str(n),
        }
        for n in range(20)
    ]
    (tmp_path / "rules.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    config = {
        "held_out": 0.2,
        "tasks": [
            {
                "kind": "context_prediction",
                "files": ["stories.txt", "chats.txt"],
                "widths": [1, 5],
                "max_wanted": 6,
            },
            {
                "kind": "classification",
                "name": "classification/days",
                "files": ["days.tsv"],
                "header": False,
                "text": "0",
                "label": "1",
                "labels": {"0": "bad", "1": "good"},
                "questions_file": "wordings.json#days/days",
            },
            {"kind": "system_prompt", "files": ["rules.jsonl"]},
        ],
    }
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def run(folder, model, *more):
    config, out = str(folder / "data.yaml"), str(folder / "out")
    return main(["data", "build", "--config", config, "--model", str(model), "--out", out, *more])


def change(folder, number, **fields):
    config = yaml.safe_load((folder / "data.yaml").read_text())
    config["tasks"][number].update(fields)
    (folder / "data.yaml").write_text(yaml.safe_dump(config))


def test_a_data_set_is_built_and_built_again_the_same(folder, tiny_model, capsys):
    assert run(folder, tiny_model) == 0
    assert "classification/days" in capsys.readouterr().out
    manifest = store.read_manifest(folder / "out")
    assert set(manifest["splits"]["train"]["tasks"]) == {
        "context_prediction",
        "classification/days",
        "system_prompt",
    }
    assert set(manifest["sources"]) >= {"stories.txt", "days.tsv", "wordings.json", "rules.jsonl"}
    assert {layer for e in store.read(folder / "out", "train") for layer in e.layers} == {1, 2, 3}
    first = store.fingerprint(folder / "out")
    assert run(folder, tiny_model) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(folder, tiny_model, "--overwrite") == 0
    assert store.fingerprint(folder / "out") == first


@pytest.mark.parametrize(
    ("number", "fields", "message"),
    [
        (0, {"files": ["nowhere.txt"]}, "nowhere.txt"),
        (0, {"colour": "red"}, "colour"),
        (0, {"weight": 1}, "weight to every task"),
        (1, {"text": "7"}, "days.tsv:1 has nothing in column '7'"),
        (1, {"questions_file": "wordings.json"}, "wordings.json"),
        (1, {"questions_file": None}, "needs yes/no questions or open ones"),
        (1, {"labels": {"0": "bad", "5": "good"}}, "['5']"),
        (2, {"name": "context_prediction"}, "one name"),
        (2, {"kind": "poetry"}, "poetry"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    folder, tiny_model, capsys, number, fields, message
):
    change(folder, number, **fields)
    assert run(folder, tiny_model) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (folder / "out").exists()


def test_a_model_that_is_not_there_is_one_line(folder, capsys):
    assert run(folder, folder / "no model") == 2
    assert "No model could be read" in capsys.readouterr().err


def test_documents_end_at_blank_lines_markers_or_every_line(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("one\nstill one\n<|endoftext|>\n\ntwo\n\nthree")
    assert [d.content for d in read_documents(path)] == ["one\nstill one", "two", "three"]
    assert [d.source for d in read_documents(path)] == ["some.txt:1", "some.txt:2", "some.txt:3"]
    path.write_text("one\ntwo\n")
    assert [d.content for d in read_documents(path, unit="lines")] == ["one", "two"]


def test_chats_are_read_turn_by_turn(tmp_path):
    path = tmp_path / "chats.txt"
    path.write_text("User: Hi\nBot: Hello<|endoftext|>\nUser: Why\nnot?\n\nHuman: A\nAssistant: B")
    chats = [[(m["role"], m["content"]) for m in d.content] for d in read_documents(path)]
    assert chats == [
        [("user", "Hi"), ("assistant", "Hello"), ("user", "Why\nnot?")],
        [("user", "A"), ("assistant", "B")],
    ]


def test_tables_of_every_kind_give_the_same_rows(tmp_path):
    kinds = {
        "a.csv": 'words,kind\n"one, two",x\nthree,y\n',
        "a.tsv": "words\tkind\none, two\tx\nthree\ty\n",
        "a.json": json.dumps([{"words": "one, two", "kind": "x"}, {"words": "three", "kind": "y"}]),
        "a.jsonl": '{"words": "one, two", "kind": "x"}\n{"words": "three", "kind": "y"}',
        "a.txt": "x:sub one, two\ny three\n",
    }
    for name, content in kinds.items():
        (tmp_path / name).write_text(content)
        rows = read_rows(tmp_path / name, "words", "kind")
        assert [(r.text, r.label) for r in rows] == [("one, two", "x"), ("three", "y")], name
        assert all(row.source.startswith(name) for row in rows)


def test_latentqa_files_hide_what_the_paper_hides(tmp_path):
    stimulus = {
        "control_user": "Be kind.",
        "control_model": "I will.",
        "stimulus_user": "Hi",
        "stimulus_model": "Hello, dear.",
        "label": "kind",
    }
    bare = {"control_user": "Be kind.", "label": "kind"}
    system = {"system": "Be kind.", "stimulus_user": "Hi", "label": "kind"}
    (tmp_path / "stimuli.json").write_text(json.dumps([stimulus, bare, system]))
    (tmp_path / "qa.json").write_text(json.dumps({"kind": [["How?", "Kindly."], ["Who?", "I."]]}))
    asked = read_latentqa(tmp_path / "stimuli.json", tmp_path / "qa.json")
    assert [one.num_hidden for one in asked] == [2, 2, 0, 0, 1, 1]
    assert [len(one.messages) for one in asked] == [4, 4, 1, 1, 2, 2]
    assert {(one.question, one.answer) for one in asked} == {("How?", "Kindly."), ("Who?", "I.")}
    alone = read_latentqa(tmp_path / "stimuli.json")
    assert {one.answer for one in alone} == {"Be kind."}


def test_a_bad_row_of_questions_is_named_by_its_line(tmp_path):
    path = tmp_path / "rules.jsonl"
    good = {"messages": [{"role": "user", "content": "Hi"}], "question": "What?", "answer": "Hi"}
    path.write_text(f"{json.dumps(good)}\n{json.dumps({**good, 'answer': ''})}")
    with pytest.raises(DataError, match=r"rules\.jsonl:2"):
        read_asked(path)


def test_shared_data_are_read_as_they_were_published(shared):
    data = shared / "data"
    assert len(read_rows(data / "sst2" / "train.tsv", "0", "1", header=False)) == 6920
    assert len(read_rows(data / "trec" / "train.txt", "", "", encoding="latin-1")) == 5452
    assert len(read_documents(data / "tinystories" / "validation.txt")) > 1800
    assert len(read_documents(data / "chat" / "soda_val.txt")) > 300
    train = data / "activation_oracles" / "latentqa_datasets" / "train" / "system.json"
    assert len(read_latentqa(train)) == 7844
