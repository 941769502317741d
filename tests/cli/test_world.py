from activation_oracles.cli import world
from activation_oracles.cli.main import main


def test_an_unknown_part_is_one_clear_line(tmp_path, capsys):
    code = main(["world", "build", "--out", str(tmp_path / "world"), "--part", "castle"])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert "castle" in captured.err


def test_the_bar_passes_every_step_on(capsys):
    assert list(world.bar(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert "letters" in capsys.readouterr().err
