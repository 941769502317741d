"""What runs once for several answers gives what running it for each would."""

from itertools import permutations

import pytest
import torch
from peft import LoraConfig

from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.oracle import asking, packing
from activation_oracles.oracle.asking import Asked, Asker, Decoding
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.packing import Packed
from activation_oracles.oracle.prefill import Prefill, can_repeat, sees_all
from activation_oracles.oracle.sharing import by_reading, cut

QUESTIONS = ("Is it a mill?", "What stands by the old river, and why does it?")
CHOICES = ("Yes", "a mill by the river", "the old")


@pytest.fixture
def asked(family):
    """Return two prompts of different lengths, each shown something else, and their asker."""
    return prompts_of(family)


def prompts_of(model, layers="all-linear"):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        lora = LoraConfig(r=4, target_modules=layers, init_lora_weights=False)
        oracle = Oracle.new(model, Card.for_model(model), lora)
    reading = Target(model).read(
        "The old mill stands by the river.", layers=1, positions=slice(1, 4)
    )
    asker = oracle._asker
    template = asker.template
    shown = [reading.vectors, 3 * reading.vectors.flip(0)]
    return asker, [
        (template, Asked(template.build((1,), 3, question), vectors), question)
        for question, vectors in zip(QUESTIONS, shown, strict=True)
    ]


def test_tails_behind_one_prefill_are_as_likely_as_whole_prompts(asked):
    asker, prompts = asked
    answered = [
        [template.build((1,), 3, question, choice) for choice in CHOICES]
        for template, _, question in prompts
    ]
    tails = [[one.ids[one.answer_start :] for one in some] for some in answered]
    found = asker.tails([prompt for _, prompt, _ in prompts], tails)
    for some, (_, prompt, _), values in zip(answered, prompts, found, strict=True):
        for one, answer in zip(values, some, strict=True):
            # Alone, or the whole would be cut as well.
            [whole] = asker.likelihood([Asked(answer, prompt.vectors)])
            assert one == pytest.approx(whole, abs=1e-4)


def test_answers_to_questions_about_one_reading_are_weighed_behind_it_as_alone(asked, monkeypatch):
    asker, prompts = asked
    some = [
        Asked(template.build((1,), 3, question, answer), prompt.vectors.detach())
        for template, prompt, _ in prompts
        for question, answer in zip((*QUESTIONS, "Why?"), ("a mill", "it", "no"), strict=True)
    ]
    alone = [asker.likelihood([one])[0] for one in some]
    rows = count_rows(monkeypatch)
    for one, whole in zip(asker.likelihood(some), alone, strict=True):
        assert one == pytest.approx(whole, abs=1e-4)
    shares = sees_all(asker.model.network, cut(some).num_columns + 6)
    assert rows == ([1, len(prompts), len(some)] if shares else [len(some)])


def test_samples_from_one_prefill_are_those_of_repeated_prompts(asked):
    asker, prompts = asked
    some = [prompt for _, prompt, _ in prompts]
    how = Decoding(samples=3, temperature=1.0, max_new_tokens=6, seed=5)
    repeated = [prompt for prompt in some for _ in range(3)]
    with asker.model.using(asker.adapter), asker.model.seeded(how.seed):
        batch = asker.batch(repeated, whole=False)
        with asker.injecting(batch):
            new = asker.model.generate(batch.ids, batch.mask, asker._settings(how))
    texts = asker.model.tokenizer.batch_decode(new, skip_special_tokens=True)
    together = asker.generate(some, how)
    assert [one.text for said in together for one in said] == [text.strip() for text in texts]
    assert len({one.ids for said in together for one in said}) > 1


def test_questions_about_one_reading_run_it_once_and_are_answered_as_alone(asked, monkeypatch):
    asker, prompts = asked
    questions = (*QUESTIONS, "Why?")
    some = [
        Asked(template.build((1,), 3, question), prompt.vectors.detach())
        for template, prompt, _ in prompts
        for question in questions
    ]
    how = Decoding(max_new_tokens=6)
    alone = each_alone(asker, some, how)
    rows = count_rows(monkeypatch)
    assert asker.generate(some, how) == alone
    shares = sees_all(asker.model.network, cut(some).num_columns + 6)
    assert rows == ([1, len(prompts), len(some)] if shares else [len(some)])


def each_alone(asker, asked, how):
    """Answer prompts one by one, each in one pass of transformers' own generation."""
    with asker.model.using(asker.adapter), torch.no_grad():
        ids = [asker._drawn_apart([one], how, None)[0] for one in asked]
    return [[one] for one in asker._read_out(ids)]


def count_rows(monkeypatch):
    """Return a list that fills with the rows of every pass over a part of prompts."""
    rows, forward = [], asking.prefill

    def counted(network, ids, *named):
        rows.append(len(ids))
        return forward(network, ids, *named)

    monkeypatch.setattr(asking, "prefill", counted)
    return rows


def test_a_sweep_runs_once_what_stands_before_its_slots_and_answers_as_alone(asked, monkeypatch):
    asker, [(template, prompt, _), _] = asked
    vectors, half = prompt.vectors, torch.full((1,), 0.5)
    some = [
        Asked(template.build(layers, 1, "Why?"), shown, strengths)
        for layers, shown, strengths in (
            *(((layer,), row[None], None) for layer in (0, 1) for row in vectors),
            ((2,), vectors[:1], half),
            ((0, 1), vectors[:2], torch.tensor([2.0, 0.5])),
            ((1,), None, None),
        )
    ]
    how = Decoding(max_new_tokens=6)
    alone = each_alone(asker, some, how)
    following = torch.cat([following_alone(asker, one) for one in some])
    rows = count_rows(monkeypatch)
    assert asker.generate(some, how) == alone
    shares = sees_all(asker.model.network, cut(some).num_columns + 6)
    assert rows == ([3, len(some)] if shares else [len(some)])
    with asker.model.using(asker.adapter), torch.no_grad():
        together = asker._begun(some, 1, 6).following
    assert torch.allclose(together, following, atol=1e-4)
    assert torch.pdist(following).min() > 1e-3


def following_alone(asker, one):
    """Return what may follow a prompt, from one pass without a cache."""
    batch = asker.batch([one], whole=False)
    with asker.model.using(asker.adapter), torch.no_grad(), asker.injecting(batch):
        logits = asker.model.network(input_ids=batch.ids, use_cache=False).logits
    return logits[:, -1].float().log_softmax(dim=-1)


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


@pytest.fixture
def tiny_oracle(tiny_model):
    return prompts_of(load(str(tiny_model), dtype="float32", device="cpu"))


def test_states_that_are_no_cache_of_tokens_are_never_repeated(hybrid):
    asker, prompts = prompts_of(hybrid, ["q_proj"])
    assert not can_repeat(hybrid.network)
    some = [prompt for _, prompt, _ in prompts]
    drawn = asker.generate(some, Decoding(samples=2, temperature=1.0, max_new_tokens=3))
    assert [len(answers) for answers in drawn] == [2, 2]
    answered = [template.build((1,), 3, question, "Yes") for template, _, question in prompts]
    tails = [[one.ids[one.answer_start :]] for one in answered]
    whole = asker.likelihood(
        [Asked(one, prompt.vectors) for one, prompt in zip(answered, some, strict=True)]
    )
    assert [values for [values] in asker.tails(some, tails)] == whole


def test_what_is_shared_goes_by_what_is_shown(asked):
    _, prompts = asked
    (template, first, _), (_, second, _) = prompts
    other = Asked(template.build((1,), 3, "Why?"), first.vectors.clone())
    same = Asked(template.build((1,), 3, "Why?"), first.vectors.detach())
    assert by_reading([first, second, same]) == [[0, 2], [1]]
    assert by_reading([first, other]) == [[0], [1]]
    elsewhere = Asked(template.build((2,), 3, "Why?"), first.vectors)
    assert by_reading([first, elsewhere]) == [[0], [1]]
