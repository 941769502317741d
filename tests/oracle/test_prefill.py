"""What runs once for several answers gives what running it for each would."""

import pytest
import torch

from activation_oracles.oracle import asking
from activation_oracles.oracle.asking import Asked, Decoding
from activation_oracles.oracle.prefill import can_repeat, sees_all
from activation_oracles.oracle.sharing import by_reading, cut
from sample_prompts import CHOICES, QUESTIONS, each_alone, following_alone, prompts_of


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
