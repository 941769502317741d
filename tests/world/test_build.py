"""Making the village: what is there is not made again, and what is missing is named."""

import json

import pytest

from activation_oracles.errors import ConfigError, ModelError
from activation_oracles.world.build import ALL, build
from activation_oracles.world.gate import check_gate
from activation_oracles.world.load import load_demo
from activation_oracles.world.recipe import Recipe
from activation_oracles.world.secrets import lesson, secrets


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
