import dataclasses

import pytest
import torch

from activation_oracles.errors import ConfigError, DataError, MismatchError, ModelError
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.controls import AsText, Donor, Nothing, RandomDirection
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.oracle.prefill import Prefill
from activation_oracles.types import Activations, Example

QUESTIONS = ["What is it?", "Is it true that the mill is old? Answer with Yes or No."]


@pytest.fixture(scope="module")
def readings(target):
    texts = ["The old mill stands.", "Anna likes green apples, does she not?"]
    return [target.read(text, layers=1, positions=slice(0, 3)) for text in texts]


def test_many_readings_and_questions_in_one_batch_are_answered_as_alone(oracle, readings):
    grid = oracle.ask(readings, QUESTIONS)
    for reading, row in zip(readings, grid, strict=True):
        for question, answer in zip(QUESTIONS, row, strict=True):
            alone = oracle.ask(reading, question)
            assert (answer.text, answer.question) == (alone.text, question)


def test_a_blind_choice_is_the_control_nothing_without_asking_the_readings(oracle, readings):
    passes = []
    hook = oracle.model.network.register_forward_hook(lambda *_: passes.append(1))
    try:
        blind = oracle.choose_blind(readings, QUESTIONS, ["Yes", "No"])
        alone = len(passes)
        oracle.choose(readings, QUESTIONS, ["Yes", "No"])
        both = len(passes)
        beside = oracle.choose(readings, QUESTIONS, ["Yes", "No"], controls=[Nothing()])
    finally:
        hook.remove()
    assert blind == [one.controls["nothing"] for one in beside]
    # As often again for the control, and as often again for the readings.
    assert len(passes) == 2 * both
    assert 0 < alone < both


def test_all_questions_of_all_readings_are_generated_in_one_go(oracle, readings, monkeypatch):
    sizes, followed = [], Prefill.followed

    def counted(begun, network, tokens):
        sizes.append(len(tokens))
        return followed(begun, network, tokens)

    monkeypatch.setattr(Prefill, "followed", counted)
    oracle.ask(readings, QUESTIONS, decoding=Decoding(max_new_tokens=2))
    assert sizes == [len(readings) * len(QUESTIONS)]


def test_the_answer_depends_on_what_is_shown(oracle, readings):
    examples = [
        Example((1, 2, 3), (0, 1, 2), (1,), QUESTIONS[0], "moon", "t", "s") for _ in readings
    ]
    losses = oracle.losses(examples, [reading.vectors for reading in readings])
    assert abs(losses[0] - losses[1]) > 1e-4


def test_nothing_shown_is_the_prompt_alone(oracle, reading):
    one = oracle.ask(reading, QUESTIONS[0], controls=[Nothing()])
    zero = reading.with_vectors(torch.zeros_like(reading.vectors), "zero")
    assert one.controls["nothing"].text == oracle.ask(zero, QUESTIONS[0]).text


def test_random_directions_are_as_long_and_elsewhere(reading):
    shown = RandomDirection(seed=4).shown(reading)
    assert torch.allclose(shown.vectors.norm(dim=-1), reading.vectors.norm(dim=-1), rtol=1e-4)
    cosine = torch.cosine_similarity(shown.vectors, reading.vectors)
    assert cosine.abs().max() < 0.9
    assert torch.equal(shown.vectors, RandomDirection(seed=4).shown(reading).vectors)
    assert not torch.equal(shown.vectors, RandomDirection(seed=5).shown(reading).vectors)
    assert "random" in shown.provenance.history[-1]


def test_a_donor_s_answer_is_the_donor_s(oracle, readings):
    answer = oracle.ask(readings[0], QUESTIONS[0], controls=[Donor(readings[1])])
    assert answer.controls["donor"].text == oracle.ask(readings[1], QUESTIONS[0]).text
    assert answer.controls["donor"].positions == readings[1].positions


def test_asking_in_words_puts_the_question_to_the_target_without_the_oracle(oracle, readings):
    control = AsText(Target(oracle.model), "The old mill stands.")
    answer = oracle.ask(readings[0], QUESTIONS[0], controls=[control])
    said = Target(oracle.model).generate("The old mill stands.\n\nWhat is it?", max_new_tokens=20)
    assert answer.controls["asked as text"].text == said.strip()


def test_a_question_to_a_chat_follows_its_last_turn(oracle, readings):
    chat = [{"role": "user", "content": "Hello."}]
    said = AsText(Target(oracle.model), chat).said("Who?", max_new_tokens=4)
    joined = [{"role": "user", "content": "Hello.\n\nWho?"}]
    assert said == Target(oracle.model).generate(joined, max_new_tokens=4).strip()


def test_choices_get_probabilities_that_follow_from_the_likelihoods(oracle, readings):
    choices = ["moon", "boat", "river"]
    answer = oracle.choose(readings[0], QUESTIONS[0], choices)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.text == max(choices, key=lambda choice: answer.probabilities[choice])
    both = oracle.choose(readings, QUESTIONS[0], choices)
    assert both[0].probabilities == pytest.approx(answer.probabilities, abs=1e-5)
    assert both[1].probabilities != pytest.approx(answer.probabilities, abs=1e-5)


def test_each_reading_may_have_a_question_of_its_own(oracle, readings):
    choices = ["a mill", "apples"]
    together = oracle.choose(readings, QUESTIONS, choices)
    for one, reading, question in zip(together, readings, QUESTIONS, strict=True):
        alone = oracle.choose(reading, question, choices)
        assert one.question == question
        assert one.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    with pytest.raises(DataError, match="one each; got 1"):
        oracle.choose(readings, QUESTIONS[:1], choices)


def test_one_token_choices_are_an_exact_softmax(oracle, readings):
    letters = ["X", "Y"]
    answer = oracle.choose(readings[0], QUESTIONS[0], letters)
    asker = oracle._asker
    prompt = asker.template.build((1,), 3, QUESTIONS[0], "X")
    start = prompt.answer_start
    assert prompt.answer_end == start + 1
    ids = torch.tensor([prompt.ids[:start]])
    batch = oracle.collate(
        [Example((1, 2, 3), (0, 1, 2), (1,), QUESTIONS[0], "X", "t", "s")], [readings[0].vectors]
    )
    with oracle.model.using("oracle"), asker.injecting(batch), torch.no_grad():
        logits = oracle.model.network(input_ids=ids).logits[0, -1]
    tokens = [oracle.model.tokenizer.encode(letter)[0] for letter in letters]
    expected = logits[tokens].softmax(-1).tolist()
    assert list(answer.probabilities.values()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("choices", [[], ["Yes"], ["Yes", "Yes"], ["Yes", " "]])
def test_a_choice_without_a_choice_is_refused(oracle, reading, choices):
    with pytest.raises(DataError, match="two or more different answers"):
        oracle.choose(reading, QUESTIONS[0], choices)


def test_a_sweep_asks_every_slot_alone(oracle, reading):
    sweep = oracle.sweep(reading, QUESTIONS[0], choices=["Yes", "No"], controls=[Nothing()])
    assert (sweep.layers, sweep.positions) == ((1, 2), (2, 3, 4, 5))
    assert sweep.pieces == reading.pieces[2:6]
    one = oracle.choose(reading.at(layers=(2,), positions=(4,)), QUESTIONS[0], ["Yes", "No"])
    swept = sweep.answers[1][2]
    assert swept.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert set(swept.controls) == {"nothing"}
    assert (swept.layers, swept.positions) == ((2,), (4,))


def test_samples_repeat_from_their_seed_and_leave_the_random_state_alone(oracle, reading):
    how = Decoding(samples=4, temperature=2.0, seed=1, max_new_tokens=6)
    state = torch.random.get_rng_state()
    first = oracle.ask(reading, QUESTIONS[0], decoding=how)
    again = oracle.ask(reading, QUESTIONS[0], decoding=how)
    other = oracle.ask(reading, QUESTIONS[0], decoding=dataclasses.replace(how, seed=2))
    assert first.samples == again.samples != other.samples
    assert len(set(first.samples)) > 1
    assert first.text == first.samples[0]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("wrong", [{"samples": 3}, {"max_new_tokens": 0}, {"temperature": -1.0}])
def test_decoding_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError):
        Decoding(**wrong)


def test_text_streams_in_pieces_that_add_up(oracle, reading):
    pieces = []
    answer = oracle.ask(reading, QUESTIONS[0], on_text=pieces.append)
    assert "".join(pieces).strip() == answer.text
    with pytest.raises(DataError, match="Streaming takes one"):
        oracle.ask([reading, reading], QUESTIONS[0], on_text=pieces.append)


def test_warnings_name_untrained_layers_and_answers_that_stand_in_the_text(oracle, target):
    from activation_oracles.oracle.caveats import caveats

    reading = target.read("The old mill stands.", layers=0)
    assert any(
        "layer 0 was not trained on" in warning for warning in oracle.ask(reading, "What?").warnings
    )
    several = target.read("The old mill stands.", layers=[1, 2])
    assert any("not trained on together" in w for w in oracle.ask(several, "What?").warnings)
    trained = target.read("The old mill stands.", layers=1)
    assert caveats(oracle.card, "", "mill", trained) == (
        "the answer stands in the text that was read",
    )
    assert caveats(oracle.card, "", "ill", trained) == ()
    assert caveats(oracle.card, "", "Yes", trained) == ()


def test_vectors_of_another_width_or_order_are_refused(oracle, reading):
    wide = Activations.own(torch.ones(2, 7), layer=1, note="a test")
    with pytest.raises(MismatchError, match="width 32"):
        oracle.ask(wide, QUESTIONS[0])
    mixed = dataclasses.replace(reading, layers=reading.layers[::-1][:3] + reading.layers[3:])
    with pytest.raises(MismatchError, match="layer before the next"):
        oracle.ask(mixed, QUESTIONS[0])


def test_the_users_own_vectors_can_be_asked_about(oracle):
    own = Activations.own(torch.randn(2, 32), layer=2, note="a probe's weights")
    answer = oracle.ask(own, QUESTIONS[0])
    assert answer.provenance.history == ("own vectors: a probe's weights",)


@pytest.mark.parametrize("questions", ["", "  ", []])
def test_an_empty_question_is_refused(oracle, reading, questions):
    with pytest.raises(DataError, match="question is empty"):
        oracle.ask(reading, questions)


def test_a_saved_oracle_answers_as_before_on_a_fresh_base(oracle, reading, tmp_path):
    oracle.save(tmp_path / "oracle")
    again = Oracle.from_pretrained(str(tmp_path / "oracle"), dtype="float32", device="cpu")
    assert again.card == oracle.card
    answers = [one.choose(reading, "What?", ["moon", "boat"]) for one in (oracle, again)]
    assert answers[0].probabilities == pytest.approx(answers[1].probabilities, abs=1e-6)
    assert "activation-oracle" in (tmp_path / "oracle" / "README.md").read_text(encoding="utf-8")


def test_an_oracle_without_a_card_says_what_is_assumed(oracle, reading, tmp_path):
    oracle.save(tmp_path / "oracle")
    (tmp_path / "oracle" / "ao_config.json").unlink()
    bare = Oracle.from_pretrained(
        str(tmp_path / "oracle"), model=oracle.model.name, dtype="float32", device="cpu"
    )
    assert "no ao_config.json" in bare.ask(reading, "What?").warnings[0]


def test_an_adapter_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="No oracle adapter"):
        Oracle.from_pretrained(str(tmp_path / "empty"))


def test_learning_moves_the_loss_and_only_the_adapter(fresh_oracle, reading):
    oracle = fresh_oracle
    example = Example((1, 2, 3), (0, 1), (1,), "What?", "moon", "t", "s")
    batch = oracle.collate([example], [reading.vectors[:2]])
    base = {n: p.clone() for n, p in oracle.model.network.named_parameters() if "lora" not in n}
    parameters = oracle.model.adapter_parameters("oracle")
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    losses = []
    for _ in range(5):
        with oracle.learning(batch) as loss:
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    for name, parameter in oracle.model.network.named_parameters():
        if "lora" not in name:
            assert torch.equal(parameter, base[name])
