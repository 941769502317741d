"""A grid is checked before any run starts, each run is an ordinary one, and seeds are one row."""

import json

import pytest

from activation_oracles.errors import ConfigError, DataError, MismatchError
from activation_oracles.statistics import over_runs
from activation_oracles.tasks import store
from activation_oracles.training.config import TrainConfig
from activation_oracles.training.evaluate import HeldOutScore
from activation_oracles.training.grid import Grid, plan
from activation_oracles.training.loop import train
from activation_oracles.training.ranking import check_order, rank, save
from activation_oracles.training.running import Outcome, look, run_all, standing
from activation_oracles.training.stopping import StoppedError


def quiet(config):
    return train(config, progress=lambda found: found)


@pytest.fixture
def base(config):
    """Return settings of a run of two steps, without its folder."""
    short = {"max_steps": 2, "evaluate_examples": 2, "log_every": 1}
    values = config.model_copy(update=short).model_dump(mode="json")
    return {name: value for name, value in values.items() if name not in ("output", "resume")}


@pytest.fixture
def of(base, tmp_path):
    """Return a function from varied settings to the planned runs."""
    return lambda folder="grid", **grid: plan(Grid(base=base, grid=grid), tmp_path / folder)


def test_every_combination_is_a_run_with_a_readable_name(of, base, tmp_path):
    runs = of(learning_rate=["1e-3", 5e-4], **{"lora.rank": [2, 4]}, epochs=[1])
    assert [run.name for run in runs] == [
        "learning_rate-0.001_rank-2",
        "learning_rate-0.001_rank-4",
        "learning_rate-0.0005_rank-2",
        "learning_rate-0.0005_rank-4",
    ]
    third = {**base, "learning_rate": 5e-4, "epochs": 1, "lora": {**base["lora"], "rank": 2}}
    output = tmp_path / "grid" / "learning_rate-0.0005_rank-2"
    assert runs[2].config == TrainConfig(**third, output=str(output))
    assert runs[2].varied == {"learning_rate": 5e-4, "lora.rank": 2}
    assert not (tmp_path / "grid").exists()


def test_names_that_would_be_equal_or_too_long_are_told_apart(of, data, tmp_path):
    record = store.read_manifest(data)
    manifest = store.Manifest(**{name: record[name] for name in ("seed", "command", "tokenizer")})
    examples = list(store.read(data, "train"))
    for name in ("a", "b"):
        store.write(tmp_path / name / "same", {"train": examples}, manifest)
    runs = of(data=[[str(tmp_path / "a" / "same")], [str(tmp_path / "b" / "same")]])
    names = [run.name for run in runs]
    assert len(set(names)) == 2
    assert all(name.startswith("data-same_") for name in names)
    long = of(placeholder=["a" * 120, "a" * 119 + "b"], epochs=[1, 2])
    assert len({run.name for run in long}) == 4
    assert max(len(run.name) for run in long) < 120


@pytest.mark.parametrize(
    ("grid", "problem"),
    [
        ({"learning_rate": [1e-3, -1]}, r"learning_rate -1\).*greater than 0"),
        ({"learnign_rate": [1e-3]}, "learnign_rate"),
        ({"lora.size": [1]}, "lora.*size"),
        ({"seed": []}, "`seed` has no values"),
        ({"output": ["a", "b"]}, "cannot be varied"),
        ({"learning_rate": [1e-3, "0.001"]}, "one run twice"),
        ({"injection_block": [1, 4]}, "outside the 4 blocks"),
        ({"accumulate": [3]}, "accumulate 3"),
        ({"recipe": ["papper"]}, "no recipe 'papper'"),
        ({"scale": [0.1]}, "belong to a `recipe`"),
        ({"trackers": [["no tracker"]]}, "no tracker"),
    ],
)  # fmt: skip
def test_a_run_that_is_not_possible_is_refused_before_any_starts(of, grid, problem):
    with pytest.raises(ConfigError, match=problem):
        of(**grid)


def test_data_that_are_missing_or_of_another_model_are_refused(of, make_examples, tmp_path):
    with pytest.raises(DataError, match="holds no examples"):
        of(data=[[str(tmp_path / "nothing")]])
    manifest = store.Manifest(seed=0, command="a test", tokenizer="another")
    other = store.write(tmp_path / "other", {"train": make_examples(8)}, manifest)
    with pytest.raises(MismatchError, match="another tokenizer"):
        of(data=[[str(other)]])


def test_a_grid_of_recipes_makes_the_data_of_each_once(base, tmp_path):
    shared = {name: value for name, value in base.items() if name not in ("data", "mixture")}
    grid = {"recipe": ["paper", "spqa-only"], "scale": [0.001], "seed": [1, 2]}
    runs = plan(Grid(base=shared, grid=grid), tmp_path / "grid")
    assert [run.name for run in runs][:2] == ["recipe-paper_seed-1", "recipe-paper_seed-2"]
    assert len({run.config.data for run in runs}) == 2
    assert runs[0].config.data == runs[1].config.data
    assert all(run.mixture is not None and run.config.mixture is None for run in runs)
    # Its sources are nowhere here: each run says so, and no run is lost to another.
    outcomes = run_all(runs, quiet)
    assert all("cannot be read" in outcome.error for outcome in outcomes)
    assert [one.name for one in (tmp_path / "grid").iterdir()] == []


def test_data_that_several_runs_share_are_made_by_the_first(base, tiny_model, tmp_path):
    texts = tmp_path / "texts.txt"
    lines = [f"The old mill number {n} stands by the river, and Anna sings." for n in range(60)]
    texts.write_text("\n".join(lines))
    task = {"kind": "context_prediction", "files": [str(texts)], "unit": "lines", "max_wanted": 2}
    mixture = {"tasks": [{**task, "widths": [4], "layers": "one"}], "held_out": 0.2}
    shared = {name: value for name, value in base.items() if name != "data"}
    runs = plan(Grid(base={**shared, "mixture": mixture}, grid={"seed": [1, 2]}), tmp_path / "grid")
    times = []

    def start(config):
        times.append((tmp_path / config.data[0] / store.MANIFEST).stat().st_mtime_ns)
        return quiet(config)

    outcomes = run_all(runs, start)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(set(times)) == 1
    folders = {one.name for one in (tmp_path / "grid").iterdir() if one.is_dir()}
    assert folders == {"seed-1", "seed-2", runs[0].config.data[0].rpartition("/")[2]}


def test_a_grid_goes_on_where_it_stopped_and_a_failed_run_loses_no_other(of, tmp_path):
    runs = of(learning_rate=[1e-3, 1e30], seed=[1, 2], max_steps=[6])
    begun = []

    def dies(config):
        begun.append(config.output.rpartition("/")[2])
        if len(begun) == 2:
            list(zip(range(3), iter_steps(config), strict=False))
            raise StoppedError(15, 3, 6, tmp_path)
        return quiet(config)

    with pytest.raises(StoppedError):
        run_all(runs, dies)
    first = tmp_path / "grid" / runs[0].name / "adapter_model.safetensors"
    before = first.stat().st_mtime_ns
    outcomes = run_all(of(learning_rate=[1e-3, 1e30], seed=[1, 2], max_steps=[6]), quiet)
    assert begun == [run.name for run in runs[:2]]
    assert first.stat().st_mtime_ns == before
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, False]
    assert "diverged" in outcomes[2].error
    # The one that was begun went on from its checkpoint, to what it would have come to.
    whole = quiet(runs[1].config.model_copy(update={"output": str(tmp_path / "whole")}))
    undisturbed = (whole / "adapter_model.safetensors").read_bytes()
    continued = tmp_path / "grid" / runs[1].name / "adapter_model.safetensors"
    assert continued.read_bytes() == undisturbed


def iter_steps(config):
    from activation_oracles.training.loop import steps
    from activation_oracles.training.prepare import prepare

    yield from steps(prepare(config))


def test_a_folder_with_other_runs_is_refused(of):
    run_all(of(seed=[1]), quiet)
    assert of(seed=[1], save_every=[1])
    with pytest.raises(ConfigError, match=r"holds another run: epochs was 2, is 1"):
        of(seed=[1], epochs=[1])


def test_a_run_killed_while_it_wrote_its_card_is_not_finished(of, tmp_path):
    (run,) = of(seed=[1])
    assert standing(run) is None
    assert run_all([run], quiet)[0].scores.keys() == {"even", "odd"}
    (tmp_path / "grid" / run.name / "ao_config.json").write_text('{"schema_')
    assert standing(run) is None
    assert look([run], []) == [Outcome(run, None)]


def score(loss, accuracy):
    return HeldOutScore(num_examples=10, loss=loss, accuracy=accuracy, num_answers=10)


@pytest.fixture
def outcomes(of):
    """Return a grid of two rates and three seeds, of which one failed and one never ran."""
    runs = of(learning_rate=[1e-3, 1e-2], seed=[1, 2, 3])
    found = [
        {"easy": score(1.0, 0.5), "hard": score(3.0, 0.1)},
        {"easy": score(2.0, 0.5), "hard": score(4.0, 0.3)},
        {"easy": score(3.0, 0.5), "hard": score(5.0, 0.2)},
        {"easy": score(2.5, 0.9), "hard": score(2.5, 0.0)},
    ]
    done = [Outcome(run, scores) for run, scores in zip(runs, found, strict=False)]
    return [*done, Outcome(runs[4], None, "the loss is nan | sorry"), Outcome(runs[5], None)]


def test_seeds_are_one_row_with_the_interval_of_their_mean(outcomes):
    rows = rank(outcomes, "loss", over_runs).rows
    easy = next(row for row in rows if row.task == "easy" and row.settings["learning_rate"] < 0.005)
    # Student's t for two degrees of freedom is 4.3027, the standard error 1/sqrt(3).
    assert easy.loss.mean == 2.0
    assert (easy.loss.low, easy.loss.high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert easy.loss.num_runs == 3
    mean = next(row for row in rows if row.task is None and row.settings == easy.settings)
    assert mean.loss.mean == 3.0
    assert mean.accuracy.mean == pytest.approx((0.3 + 0.4 + 0.35) / 3)
    # Equal shares claim no certainty; one run claims nothing at all.
    assert easy.accuracy.low < 0.1
    alone = next(row for row in rows if row.task == "easy" and row.settings != easy.settings)
    assert (alone.loss.mean, alone.loss.low, alone.loss.num_runs) == (2.5, None, 1)


@pytest.mark.parametrize(
    ("order_by", "first"),
    [("loss", 1e-2), ("accuracy", 1e-2), ("loss/easy", 1e-3), ("accuracy/hard", 1e-3)],
)
def test_rows_are_ordered_by_what_is_chosen(outcomes, order_by, first):
    assert rank(outcomes, order_by, over_runs).rows[0].settings == {"learning_rate": first}


def test_an_order_that_is_none_is_refused(outcomes):
    with pytest.raises(ConfigError, match="ordered by loss or accuracy"):
        check_order("speed")
    with pytest.raises(ConfigError, match=r"its tasks are \['easy', 'hard'\]"):
        rank(outcomes, "loss/none", over_runs)


def test_the_table_names_what_failed_and_what_is_to_come(outcomes, tmp_path):
    save(rank(outcomes, "loss", over_runs), tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0] == "| learning_rate | task | loss | 95 % | accuracy | 95 % | runs |"
    assert lines[2] == "| 0.01 | (mean) | 2.500 | - | 0.450 | - | 1 |"
    assert "- learning_rate-0.01_seed-2 failed: the loss is nan | sorry" in lines
    assert lines[-1] == "- not run yet: learning_rate-0.01_seed-3"
    held = json.loads((tmp_path / "table.json").read_text())
    assert [run["error"] is None for run in held["runs"]] == [True] * 4 + [False, True]
    assert held["rows"][0]["loss"]["mean"] == 2.5
    assert held["runs"][0]["settings"] == {"learning_rate": 1e-3, "seed": 1}


def test_a_grid_of_which_nothing_is_finished_has_a_table(of):
    ranking = rank(look(of(seed=[1, 2]), []), "loss/easy", over_runs)
    assert "not run yet: seed-1, seed-2" in ranking.as_markdown()
