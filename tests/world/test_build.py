"""Making the village: what is there is not made again, and what is missing is named."""

import pytest

from activation_oracles.errors import ConfigError
from activation_oracles.world.build import ALL, build
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
