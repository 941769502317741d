"""Making the village: what is there is not made again, and what is missing is named."""

import json
from dataclasses import replace

import pytest

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.evals.grade import exact
from activation_oracles.oracle.calibrator import fit
from activation_oracles.oracle.confidence import HowSure
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.tasks import store
from activation_oracles.types import Activations
from activation_oracles.world.build import ALL, build
from activation_oracles.world.gate import check_gate
from activation_oracles.world.interviews import InterviewPlan, interview
from activation_oracles.world.load import load_demo
from activation_oracles.world.oracles import stages, write_questions
from activation_oracles.world.parts import forget, is_done
from activation_oracles.world.recipe import Recipe
from activation_oracles.world.secrets import lesson, secrets
from activation_oracles.world.sureness import curve
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


def test_a_curve_can_be_forgotten_and_the_oracle_stays(tmp_path):
    card = tmp_path / "oracle" / "ao_config.json"
    card.parent.mkdir()
    card.write_text(json.dumps({"model": "base", "confidence_curves": [{"method": "likelihood"}]}))
    assert is_done(tmp_path, "confidence")
    forget(tmp_path, "confidence")
    assert json.loads(card.read_text()) == {"model": "base", "confidence_curves": []}
    assert not is_done(tmp_path, "confidence")


def test_stages_differ_in_what_they_ask(tmp_path):
    tokenizer = load_demo().model.tokenizer
    tokenizer.save_pretrained(tmp_path / "base")
    small = Recipe(num_questions=40, closing_steps=1, abstaining_steps=6, batch_size=4)
    found = {}
    for name, stage in stages(small).items():
        write_questions(tmp_path / name, str(tmp_path / "base"), stage, small)
        found[name] = store.read(tmp_path / name, "train")
        assert len(found[name]) == stage.questions
    assert stages(small)["closing"].seed == stages(small)["abstaining"].seed != small.seed
    assert {one.answer for one in found["closing"]}.isdisjoint({ANSWER})
    refused = [one for one in found["abstaining"] if one.answer == ANSWER]
    assert len(refused) == round(small.unanswered * 40)
    assert stages(small)["abstaining"].noise.share == small.noisy
    assert stages(small)["closing"].noise.share == 0


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
    few = replace(village, organisms=tuple(one for one in village.organisms if one.answer)[::5])
    plan = InterviewPlan(num_prompts=2, num_wordings=2)
    found = curve(few, precision=0.8, plan=plan)
    stated, right = [], []
    for card in few.organisms:
        target = few.target(card.name)
        for query in interview(target, card.secret, plan):
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
