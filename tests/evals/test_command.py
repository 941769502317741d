"""`ao eval`: every answerer in one table, on a tiny random model and an untrained oracle."""

import json
import shutil
from dataclasses import replace

import pytest

from activation_oracles.baselines.probe import Probe
from activation_oracles.cli.asking import choices_of, limited
from activation_oracles.cli.eval import Eval
from activation_oracles.cli.main import main
from activation_oracles.evals.running import kept
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")


def example(number, *, answer, question="Which colour?", task="classification/colour", width=2):
    context = tuple(20 + (number * step) % 300 for step in range(1, 8))
    positions = tuple(range(7 - width, 7))
    return Example(context, positions, (1 + number % 2,), question, answer, task, f"text {number}")


def made(start):
    return [
        *[example(start + n, answer=("red", "blue")[n % 2], width=1 + n % 3) for n in range(24)],
        *[
            example(start + n, answer=f"river {n} sings", question="What comes?", task="context")
            for n in range(24)
        ],
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_model):
    """Return a folder with an untrained oracle and one with examples."""
    from peft import LoraConfig

    from activation_oracles.models.load import load as load_model
    from activation_oracles.oracle.card import Card
    from activation_oracles.tasks import store

    folder = tmp_path_factory.mktemp("eval")
    model = load_model(str(tiny_model))
    lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    Oracle.new(model, Card.for_model(model), lora).save(folder / "oracle")
    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    store.write(folder / "data", {"train": made(0), "held_out": made(100)}, manifest)
    return str(folder / "oracle"), str(folder / "data")


@pytest.fixture(scope="module")
def evaluated(folders, tmp_path_factory):
    oracle, data = folders
    out = tmp_path_factory.mktemp("out")
    Eval(oracle=oracle, data=data, limit=6, max_new_tokens=4, out=str(out)).run()
    return out


def test_every_task_has_the_oracle_its_controls_and_the_baselines(evaluated):
    table = json.loads((evaluated / "table.json").read_text())
    who = {(row["task"], row["who"], row["control"]) for row in table["rows"]}
    for task in ("context", "classification/colour"):
        for control in (None, "nothing", "random", "donor"):
            assert (task, "oracle", control) in who
        assert (task, "most frequent answer", "no activations") in who
        assert (task, "target asked in words", "text, no activations") in who
    assert ("classification/colour", "linear probe, mean", None) in who
    assert ("classification/colour", "nearest neighbours, mean", None) in who
    assert ("classification/colour", "oracle, forced choice", "donor") in who
    assert ("context", "linear probe, mean", None) not in who
    assert all(row["estimate"]["num_answers"] == 6 for row in table["rows"])


def test_a_run_that_goes_on_fits_only_the_probes_that_have_not_answered(
    folders, evaluated, tmp_path, monkeypatch
):
    oracle, data = folders
    out = tmp_path / "out"
    shutil.copytree(evaluated, out)
    fitted, fit = [], Probe.fit

    def counted(self, examples):
        fitted.append(self.name)
        return fit(self, examples)

    monkeypatch.setattr(Probe, "fit", counted)
    for lost, wanted in (("oracle", []), ("linear-probe-last", ["linear probe, last"])):
        (path,) = (out / "answers").glob(f"0-{lost}.parquet")
        before = path.read_bytes()
        path.unlink()
        Eval(oracle=oracle, data=data, limit=6, max_new_tokens=4, out=str(out)).run()
        assert fitted == wanted
        assert path.read_bytes() == before


def test_a_forced_choice_says_nothing_but_the_choices(evaluated):
    chosen = [r for r in kept(evaluated) if r.who == "oracle, forced choice"]
    assert {record.text for record in chosen} <= {"red", "blue"}
    assert len(chosen) == 4 * 6


def test_with_nothing_written_answers_depend_on_the_prompt_alone(evaluated):
    said = {}
    for record in kept(evaluated):
        if (record.who, record.control) == ("oracle", "nothing"):
            one = record.example
            key = one.question, one.layers, len(one.positions)
            assert said.setdefault(key, record.text) == record.text


def test_the_table_for_people_names_the_gain_over_each_control(evaluated):
    text = (evaluated / "table.md").read_text()
    assert "| classification/colour | linear probe, mean |" in text
    assert "| task | who | gain | over |" in text
    assert "| task | who | advantage over its best control | over |" in text


def test_a_table_says_which_oracle_it_is_about(evaluated, folders):

    oracle = Oracle.from_pretrained(folders[0])
    about = json.loads((evaluated / "table.json").read_text())["about"]
    assert about["adapter"] == oracle.model.adapters.identity(oracle.adapter)
    assert about["fingerprint"] == oracle.model.fingerprint
    assert (about["data"], about["limit"], about["split"]) == (folders[1], 6, "held_out")
    assert f"- adapter: {about['adapter']}" in (evaluated / "table.md").read_text()


def test_an_evaluation_over_a_store_says_the_same_and_reads_nothing_twice(
    folders, evaluated, tmp_path, monkeypatch, capsys
):
    from activation_oracles.models.target import Target

    oracle, data = folders
    store, out = tmp_path / "readings", tmp_path / "out"
    way = {"oracle": oracle, "data": data, "limit": 6, "max_new_tokens": 4, "store": str(store)}
    Eval(**way, out=str(out)).run()
    assert "readings will grow by at most" in capsys.readouterr().err
    said = [[one.text for one in kept(at)] for at in (evaluated, out)]
    assert said[0] == said[1]
    monkeypatch.setattr(Target, "_streams", lambda *_: pytest.fail("a text was read"))
    Eval(**way, out=str(tmp_path / "again")).run()
    assert [one.text for one in kept(tmp_path / "again")] == said[0]


def test_lenses_are_rows_of_the_table_where_they_are_asked_for(folders, evaluated, tmp_path):
    oracle, data = folders
    plain = {record.who for record in kept(evaluated)}
    Eval(
        oracle=oracle,
        data=data,
        limit=6,
        max_new_tokens=4,
        lenses=True,
        store=str(tmp_path / "readings"),
        out=str(tmp_path),
    ).run()
    records = kept(tmp_path)
    assert {record.who for record in records} - plain == {
        "logit lens",
        "tuned token list",
        "patchscopes",
        "patchscopes, forced choice",
        "SelfIE",
        "SelfIE, forced choice",
        "target asked in words, reply begun",
        "target asked in words, without the text",
    }
    closed = ("logit lens", "tuned token list", "SelfIE, forced choice")
    few = {r.text for r in records if r.who in closed and r.example.task != "context"}
    assert few <= {"red", "blue"}


def test_json_on_stdout_is_the_table(folders, capsys):
    oracle, data = folders
    assert (
        main(
            ["eval", "--oracle", oracle, "--data", data, "--limit", "2", "--json", "--no-in-words"]
        )
        == 0
    )
    assert set(json.loads(capsys.readouterr().out)) == {
        "about",
        "rows",
        "gains",
        "advantages",
        "rivals",
    }


def test_blind_spots_are_a_matrix_below_the_table(folders, tmp_path, capsys):
    from activation_oracles.tasks import store

    oracle, _ = folders
    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    parts = {
        split: [replace(one, layers=(1 + n // 2 % 2,)) for n, one in enumerate(made(start))]
        for split, start in (("train", 0), ("held_out", 100))
    }
    store.write(tmp_path / "data", parts, manifest)
    way = {"oracle": oracle, "data": str(tmp_path / "data"), "max_new_tokens": 4, "in_words": False}
    out = tmp_path / "out"
    Eval(**way, blindspots="task", out=str(out)).run()
    assert "| concept | layers 1 | layers 2 |" in capsys.readouterr().out
    assert "| concept | layers 1 | layers 2 |" in (out / "table.md").read_text()
    found = json.loads((out / "table.json").read_text())["blind_spots"]
    assert {one["concept"] for one in found["spots"]} == {"classification/colour"}
    assert found["left_out"] == ["context: no probe answered it"]
    Eval(**way, blindspots="answer", out=str(out), json=True).run()
    found = json.loads(capsys.readouterr().out)["blind_spots"]
    assert {one["concept"] for one in found["spots"]} == {
        "classification/colour: red",
        "classification/colour: blue",
    }


def test_blind_spots_without_probes_are_refused_before_anybody_answers(
    folders, tmp_path, monkeypatch, capsys
):
    from activation_oracles.tasks import store

    oracle, _ = folders
    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    only_open = [one for one in made(0) if one.task == "context"]
    store.write(tmp_path, {"train": only_open, "held_out": only_open}, manifest)
    monkeypatch.setattr(Oracle, "answer", lambda *_: pytest.fail("the oracle answered"))
    way = ["eval", "--oracle", oracle, "--data", str(tmp_path), "--blindspots", "task"]
    assert main(way) == 2
    assert "need a probe's answers" in capsys.readouterr().err
    for suite, more in (("gender", []), ("taboo", ["--probes"])):
        assert main(["eval", "--suite", suite, "--blindspots", "task", *more]) == 2
        assert "Blind spots need probes" in capsys.readouterr().err


def test_a_missing_oracle_or_data_folder_is_one_line_and_exit_code_2(folders, tmp_path, capsys):
    oracle, data = folders
    for wrong in ((oracle, str(tmp_path)), (str(tmp_path / "none"), data)):
        assert main(["eval", "--oracle", wrong[0], "--data", wrong[1]]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_only_tasks_with_few_answers_are_a_choice():
    training = [example(n, answer=str(n), task="many") for n in range(30)]
    training += [example(n, answer="Yes", task="one") for n in range(3)]
    training += [example(n, answer=("Yes", "No")[n % 2], task="two") for n in range(4)]
    assert choices_of(training) == {"two": ("No", "Yes")}


def test_a_limit_holds_for_each_task_and_draws_the_same_again():
    examples = made(0)
    few = limited(examples, 5, seed=1)
    assert len(few) == 10
    assert few == limited(examples, 5, seed=1) != limited(examples, 5, seed=2)
    assert len(limited(examples, 0, seed=1)) == len(examples)


def test_examples_of_one_folder_are_judged_with_what_another_teaches(folders, tmp_path):
    from activation_oracles.tasks import store

    oracle, data = folders
    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    only_red = [one for one in made(200) if one.answer == "red"]
    store.write(tmp_path / "test", {"train": only_red}, manifest)
    Eval(
        oracle=oracle,
        data=str(tmp_path / "test"),
        split="train",
        training=data,
        limit=3,
        in_words=False,
        out=str(tmp_path),
    ).run()
    records = kept(tmp_path)
    assert {record.example.answer for record in records} == {"red"}
    assert any(record.who == "linear probe, mean" for record in records)


def test_probes_that_could_not_answer_everything_are_left_out_with_a_word(
    folders, tmp_path, capsys
):
    from activation_oracles.tasks import store

    oracle, _ = folders
    manifest = store.Manifest(seed=0, command="a test", tokenizer="tiny")
    elsewhere = [replace(one, layers=(0, 3)) for one in made(200)]
    store.write(tmp_path, {"train": made(0), "held_out": elsewhere}, manifest)
    Eval(oracle=oracle, data=str(tmp_path), limit=3, in_words=False, out=str(tmp_path)).run()
    assert "left out the probes: 3 of 3" in capsys.readouterr().err
    who = {record.who for record in kept(tmp_path)}
    assert who == {"oracle", "oracle, forced choice", "most frequent answer"}
