"""Questions in one row are answered as each is alone."""

from itertools import permutations

import pytest
import torch

from activation_oracles.models.load import load
from activation_oracles.oracle import asking, packing
from activation_oracles.oracle.asking import Asked, Asker, Decoding
from activation_oracles.oracle.packing import Packed
from activation_oracles.oracle.prefill import Prefill
from sample_prompts import CHOICES, QUESTIONS, each_alone, following_alone, prompts_of

WINDOWED = {"mistral", "gemma-2", "gemma-3", "gemma-3-multimodal"}
IN_NO_ROW = {*WINDOWED, "gpt-neo"}
"""Families whose questions are rows of a batch: a window of 16, and attention of its own."""


@pytest.fixture
def about_one(asked, request, monkeypatch):
    """Return an asker, prompts about one reading, what they ask, and whether they share a row."""
    monkeypatch.setattr(packing, "COLUMNS_PER_WIDTH", 1000)
    return *questions_about_one(asked), request.node.callspec.params["family"] not in IN_NO_ROW


def questions_about_one(asked):
    asker, [(template, prompt, _), _] = asked
    questions = (*QUESTIONS, "Why?", "Is it an old mill that stands there?")
    some = [Asked(template.build((1,), 3, question), prompt.vectors) for question in questions]
    return asker, some, questions


def count_packed(monkeypatch):
    """Return a list that fills with how many texts every row holds that holds several."""
    texts, forward = [], asking.packed

    def counted(network, parts):
        texts.append(len(parts.tails))
        return forward(network, parts)

    monkeypatch.setattr(asking, "packed", counted)
    return texts


def test_questions_about_one_reading_run_in_one_row_and_are_answered_as_alone(
    about_one, monkeypatch
):
    asker, some, _, in_one_row = about_one
    how = Decoding(max_new_tokens=6)
    alone = each_alone(asker, some, how)
    following = torch.cat([following_alone(asker, one) for one in some])
    texts = count_packed(monkeypatch)
    assert asker.generate(some, how) == alone
    assert texts == [len(some)] * in_one_row
    with asker.model.using(asker.adapter), torch.no_grad():
        logits = asker._begun(some, 1, 6).logits
    assert torch.allclose(logits.log_softmax(dim=-1), following, atol=1e-4)
    assert torch.pdist(following).min() > 1e-3


@pytest.mark.parametrize("name", sorted(WINDOWED))
def test_a_window_that_no_text_leaves_hinders_no_row(name, family_folders, monkeypatch):
    monkeypatch.setattr(packing, "COLUMNS_PER_WIDTH", 1000)
    model = load(str(family_folders(name)), dtype="float32", device="cpu")
    model.network.config.get_text_config(decoder=True).sliding_window = 1000
    asker, some, _ = questions_about_one(prompts_of(model))
    how = Decoding(max_new_tokens=6)
    alone = each_alone(asker, some, how)
    texts = count_packed(monkeypatch)
    assert asker.generate(some, how) == alone
    assert texts == [len(some)]


def test_answers_in_one_row_are_as_likely_as_in_whole_prompts(about_one, monkeypatch):
    asker, some, questions, in_one_row = about_one
    build = asker.template.build
    answered = [
        [Asked(build((1,), 3, question, choice), one.vectors) for choice in CHOICES]
        for question, one in zip(questions, some, strict=True)
    ]
    alone = [[asker.likelihood([one])[0] for one in choices] for choices in answered]
    tails = [[one.prompt.ids[one.prompt.answer_start :] for one in choices] for choices in answered]
    texts = count_packed(monkeypatch)
    for whole, found in zip(alone, asker.tails(some, tails), strict=True):
        for one, values in zip(whole, found, strict=True):
            assert values == pytest.approx(one, abs=1e-4)
    assert texts == [len(some)] * in_one_row


def test_samples_in_one_row_are_those_of_rows_of_a_batch(about_one, monkeypatch):
    asker, some, _, in_one_row = about_one
    how = Decoding(samples=3, temperature=1.0, max_new_tokens=6, seed=5)
    texts = count_packed(monkeypatch)
    together = asker.generate(some, how)
    monkeypatch.setattr(packing, "COLUMNS_PER_WIDTH", 0)
    assert asker.generate(some, how) == together
    assert texts == [len(some)] * in_one_row
    assert len({one.ids for said in together for one in said}) > 1


def test_long_questions_are_rows_of_a_batch(tiny_oracle, monkeypatch):
    asker, [(template, prompt, _), _] = tiny_oracle
    texts = count_packed(monkeypatch)
    columns = packing.COLUMNS_PER_WIDTH * asker.model.width
    for words, in_one_row in ((1, True), (columns, False)):
        questions = ("Why?" + " old" * words, "Is it?")
        some = [Asked(template.build((1,), 3, one), prompt.vectors) for one in questions]
        asker.generate(some, Decoding(max_new_tokens=1))
        assert bool(texts) == in_one_row
        texts.clear()


@pytest.mark.parametrize(("columns", "kind"), [(0, Prefill), (1000, Packed)])
def test_answers_that_have_ended_leave_the_batch(tiny_oracle, monkeypatch, columns, kind):
    monkeypatch.setattr(packing, "COLUMNS_PER_WIDTH", columns)
    asker, prompts = tiny_oracle
    how = Decoding(max_new_tokens=8)
    [template, *_], vectors = prompts[0], 3 * prompts[0][1].vectors
    questions = (*QUESTIONS, "Why?", "Is it a river?", "Who sings there?", "What is it?")
    some = [Asked(template.build((1,), 3, question), vectors) for question in questions]
    # Ends one answer early, and another not at all.
    said = [one.ids for [one] in asker.generate(some, how)]
    first, second, stop = next(
        (one, other, token)
        for one, other in permutations(range(len(said)), 2)
        for token in said[one][:5]
        if token not in said[other]
    )
    ended = said[first][: said[first].index(stop) + 1]
    rows, followed = [], kind.followed
    monkeypatch.setattr(
        kind, "followed", lambda *args: rows.append(len(args[2])) or followed(*args)
    )
    monkeypatch.setattr(Asker, "_stops", frozenset([stop]))
    two = asker.generate([some[first], some[second]], how)
    assert [one.ids for [one] in two] == [ended, said[second]]
    assert rows == [2] * (len(ended) - 1) + [1] * (len(said[second]) - len(ended))


@pytest.fixture
def tiny_oracle(tiny_model):
    return prompts_of(load(str(tiny_model), dtype="float32", device="cpu"))
