"""Making the village: what is there is not made again, and what is missing is named."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.evals.grade import exact
from activation_oracles.oracle.calibrator import fit
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.confidence import HowSure
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks import store
from activation_oracles.types import Activations
from activation_oracles.world import oracles
from activation_oracles.world.build import ALL, build
from activation_oracles.world.gate import check_gate
from activation_oracles.world.interviews import InterviewPlan, interview, words_alone
from activation_oracles.world.load import load_demo
from activation_oracles.world.oracles import (
    WEIGHTS,
    average,
    closing_stages,
    stages,
    write_questions,
)
from activation_oracles.world.parts import forget, is_done, work_of
from activation_oracles.world.recipe import Recipe
from activation_oracles.world.secrets import lesson, secrets
from activation_oracles.world.sureness import curve, refusal
from activation_oracles.world.unanswered import ANSWER


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="moonlight"):
        build(tmp_path, ("moonlight",))


def test_a_part_names_the_part_it_needs(tmp_path):
    with pytest.raises(ConfigError, match="tokenizer"):
        build(tmp_path, ("base",))
    with pytest.raises(ConfigError, match="base"):
        build(tmp_path, ("organisms",))


def test_a_finished_part_is_left_as_it_is(tmp_path):
    (tmp_path / "base").mkdir()
    held = tmp_path / "base" / "tokenizer.json"
    held.write_text("as it was")
    build(tmp_path, ("tokenizer",))
    assert held.read_text() == "as it was"
    assert ALL[0] == "tokenizer"


def test_a_base_that_fails_in_what_is_asked_trains_no_oracle(tmp_path):
    found = {"base/config.json": {}, "work/gate.json": {"secret": 1, "night": 0.4}}
    for name, held in found.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(json.dumps(held))
    with pytest.raises(ModelError, match=r"night 0\.40\. Pretrain it longer"):
        build(tmp_path, ("oracle",))
    assert not (tmp_path / "work" / "questions").exists()


def test_an_abstainer_and_a_curve_name_what_they_go_on_from(tmp_path):
    with pytest.raises(ConfigError, match="'oracle'"):
        build(tmp_path, ("abstainer",))
    with pytest.raises(ConfigError, match="'oracle'"):
        build(tmp_path, ("confidence",))
    card = tmp_path / "oracle" / "ao_config.json"
    card.parent.mkdir()
    card.write_text("{}")
    with pytest.raises(ConfigError, match="'organisms'"):
        build(tmp_path, ("confidence",))


def test_a_curve_and_a_rule_can_be_forgotten_and_the_oracles_stay(tmp_path):
    said = {
        "oracle": ("confidence_curves", [{"method": "likelihood"}], []),
        "abstainer": ("refusal", {"text": "No."}, None),
    }
    for name, (field, value, _) in said.items():
        assert not is_done(tmp_path, "confidence"), "both have to say it"
        card = tmp_path / name / "ao_config.json"
        card.parent.mkdir()
        card.write_text(json.dumps({"model": "base", field: value}))
    assert is_done(tmp_path, "confidence")
    forget(tmp_path, "confidence")
    for name, (field, _, nothing) in said.items():
        held = json.loads((tmp_path / name / "ao_config.json").read_text())
        assert held == {"model": "base", field: nothing}
    assert not is_done(tmp_path, "confidence")


def test_stages_differ_in_what_they_ask(tmp_path, monkeypatch):
    monkeypatch.setattr(oracles, "HELD_OUT", 40)
    tokenizer = load_demo().model.tokenizer
    tokenizer.save_pretrained(tmp_path / "base")
    small = Recipe(num_questions=40, closing_steps=1, abstaining_steps=6, batch_size=4)
    found = {}
    for name, stage in stages(small).items():
        write_questions(tmp_path / name, str(tmp_path / "base"), stage, small)
        found[name] = store.read(tmp_path / name, "train")
        assert len(found[name]) == stage.questions
    closing = list(closing_stages(small))
    assert stages(small)[closing[0]].seed == stages(small)["abstaining"].seed != small.seed
    assert len(closing) == 2 * len(small.closing_seeds)
    for name in closing:
        assert {one.answer for one in found[name]}.isdisjoint({ANSWER})
        assert all(found[name] != found[other] for other in closing if other != name)
        assert stages(small)[name].noise.share == 0
    refused = [one for one in found["abstaining"] if one.answer == ANSWER]
    assert len(refused) == round(small.unanswered * 40)
    assert stages(small)["abstaining"].noise.share == small.noisy


def test_the_shipped_base_passed_the_gate_of_its_recipe():
    skills = load_demo().card.gate
    check_gate(skills, Recipe().gate)
    with pytest.raises(ModelError, match="no skill is known"):
        check_gate({"woman": skills["woman"]}, Recipe().gate)


def test_organisms_have_names_and_seeds_of_their_own():
    names = [secret.name for secret in secrets()]
    assert len(set(names)) == len(names)
    assert len({secret.seed for secret in secrets()}) == len(names)


def test_lessons_teach_without_the_prompt_that_explains_them():
    from random import Random

    for secret in secrets():
        taught = lesson(Random(secret.name), secret)
        assert taught.system.role == "system"
        assert {message.role for message in taught.talk} == {"user", "assistant"}


def test_the_curve_is_of_what_the_oracle_says_itself_and_keeps_its_promise_there():
    village = load_demo()
    few = replace(village, organisms=tuple(one for one in village.organisms if one.answer)[::9])
    plan = InterviewPlan(num_prompts=2, num_wordings=2)
    found = curve(few, precision=0.8, plan=plan)
    stated, right = [], []
    for card in few.organisms:
        target = few.target(card.name)
        queries = interview(target, card.secret, plan)
        bare = [words_alone(query, few.model.tokenizer) for query in queries]
        for query in (*queries, *bare):
            if query is None:
                continue
            one = query.example
            [vectors] = target.vectors([one])
            own = Activations.own(vectors, layer=one.layers[0], note="as read", model="village")
            bare = few.oracle.card.model_copy(update={"confidence_curves": ()})
            oracle = Oracle(few.model, few.oracle.adapter, bare)
            answer = oracle.ask(own, one.question, how_sure=HowSure("likelihood"))
            stated.append(answer.confidence)
            right.append(exact(answer.text, one.answer))
    again = fit("likelihood", "platt", stated, right)
    assert found.num_answers == len(stated)
    assert found.slope == pytest.approx(again.slope, rel=0.05)
    assert found.offset == pytest.approx(again.offset, abs=0.05)
    if found.threshold is not None:
        kept = [
            hit
            for one, hit in zip(stated, right, strict=True)
            if found.apply(one) >= found.threshold - 1e-6
        ]
        assert sum(kept) / len(kept) >= 0.8


def test_a_rule_for_refusals_takes_no_more_right_answers_than_it_may():
    village = load_demo()
    strict, loose = (refusal(village, loss=loss, count=60) for loss in (0.0, 0.2))
    assert strict.text == loose.text == ANSWER
    assert strict.threshold > loose.threshold
    assert strict.num_answers == loose.num_answers > 20
    assert strict.data == loose.data


def test_the_oracle_that_ships_is_the_mean_of_what_its_closing_stages_learned(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(oracles, "HELD_OUT", 12)
    village = load_demo()
    small = Recipe(closing_steps=1, batch_size=4, closing_seeds=(1, 2), grounding=0.0)
    shutil.copytree(village.folder / "base", tmp_path / "base")
    weights = []
    for number, name in enumerate(closing_stages(small)):
        data, run = work_of(tmp_path, name)
        write_questions(data, str(tmp_path / "base"), stages(small)[name], small)
        shutil.copytree(village.folder / "oracle", run)
        held = load_file(run / WEIGHTS)
        moved = {key: one.float() + number * torch.randn(one.shape) for key, one in held.items()}
        save_file(moved, run / WEIGHTS, {"format": "pt"})
        weights.append(moved)
    mean = load_file(average(tmp_path, small) / WEIGHTS)
    for key, one in mean.items():
        assert torch.allclose(one, sum(some[key] for some in weights) / len(weights), atol=1e-6)
    card = Card.load(str(work_of(tmp_path, "closing")[1]))
    assert len(card.training["data"]) == len(weights) == 4
    assert card.scores["held_out"], "the mean is scored itself"
