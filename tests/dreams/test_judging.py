"""Judges: by words, by a classifier, by a model, each seen to tell and to be able to fail."""

import sys

import pytest
import torch

from activation_oracles.dreams.concepts import GENERAL, Concept, load_concepts
from activation_oracles.dreams.judging import ApiJudge, Classifier, ModelJudge, named
from activation_oracles.errors import ConfigError, DataError
from activation_oracles.world.concepts import concepts as things

CONCEPTS = {one.name: one for one in load_concepts(GENERAL)}
BIRD, FISH, REFUSAL = (CONCEPTS[name] for name in ("bird", "fish", "refusal"))
# What inspect_ai itself calls tenacity with.
INSPECT = pytest.mark.filterwarnings("ignore:The 'initial' parameter:DeprecationWarning")
WHY = "inspect_ai is not installed (extra `inspect`)"


def concept(**changed):
    told = {"name": "owl", "question": "What is it?", "answer": "owl", "prompts": ("Who?",)}
    shown = {"reply": "An owl.", "instead": ("A cat.",), "shown_by": ("owl",)}
    return Concept(**(told | shown | changed))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("An Owl!", 1),
        ("OWL", 1),
        ("owl", 1),
        ("They howl.", 0),
        ("owlish", 0),
        ("We saw an eagle\n owl there", 1),
        ("eagle", 0),
        ("I don\u2019t know", 1),
        ("", 0),
    ],
)
def test_words_count_whole_and_in_any_case(text, shown):
    assert named([text], concept(shown_by=("owl", "eagle owl", "don't"))) == [shown]


def test_a_word_is_no_pattern():
    assert named(["cat", "c.t"], concept(shown_by=("c.t",))) == [0, 1]


def test_a_classifier_tells_other_texts_by_the_words_it_has_learnt():
    pytest.importorskip("sklearn")
    texts = ["An owl and an eagle, both birds.", "A fox, a cat and two goats.", "Xyzzy."]
    bird, other, unknown = Classifier()(texts, BIRD)
    assert 0 <= other < unknown < bird <= 1
    learnt = Classifier()([*REFUSAL.about, *REFUSAL.not_about], REFUSAL)
    assert min(learnt[:6]) > 0.5 > max(learnt[6:])
    assert Classifier()([], BIRD) == []


def test_a_classifier_without_texts_to_learn_from_is_refused():
    with pytest.raises(DataError, match="texts about it"):
        Classifier()(["An owl."], concept())
    pytest.importorskip("sklearn")
    with pytest.raises(DataError, match="cannot learn"):
        Classifier()(["An owl."], concept(about=("?",), not_about=("!",)))


def test_a_classifier_without_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(ConfigError, match=r"activation-oracles\[eval\]"):
        Classifier(strength=3.0)(["An owl."], BIRD)


def test_a_model_chooses_by_its_own_likelihoods(target):
    judge = ModelJudge(target, [BIRD, FISH, REFUSAL])
    answers, question = judge.choices(BIRD)
    assert answers == ["Bird", "Fish"]
    assert question.endswith("Answer with one of these: Bird, Fish.")
    texts = ["The old mill.", "Anna likes green apples very much."]
    for text, score in zip(texts, judge(texts, BIRD), strict=True):
        chat = [{"role": "user", "content": judge.asked.format(text=text, question=question)}]
        prompt = target.text(chat, add_generation_prompt=True).token_ids
        means = []
        for answer in answers:
            said = target.model.tokenizer.encode(answer, add_special_tokens=False)
            ids = torch.tensor([[*prompt, *said]])
            with torch.no_grad():
                logs = target.model.network(input_ids=ids).logits[0].float().log_softmax(-1)
            means.append(logs[len(prompt) - 1 : -1].gather(1, torch.tensor(said)[:, None]).mean())
        assert score == pytest.approx(torch.stack(means).softmax(0)[0].item(), abs=1e-5)
    assert judge([], BIRD) == []


def test_the_village_goes_on_with_a_text_by_what_it_is_about(village):
    judge = ModelJudge(
        village.target(), things(), asked="{text} It is the", answered=" {answer}.", as_chat=False
    )
    owns, others = [], []
    for thing in things()[:8]:
        scores = judge([f"It {thing.shown_by[1]}.", thing.instead[0]], thing)
        owns.append(scores[0])
        others.append(scores[1])
    above = [own > other for own in owns for other in others]
    assert sum(above) / len(above) > 0.75


def test_the_answers_to_choose_from_are_the_same_in_every_run_and_order(target):
    many = [concept(name=f"{n}", answer=f"thing {n}") for n in range(20)]
    answers, question = ModelJudge(target, many).choices(many[3])
    assert ModelJudge(target, many[::-1]).choices(many[3]) == (answers, question)
    assert answers[0] == "thing 3"
    assert len(set(answers)) == len(answers) == 8


def test_where_no_other_concept_has_the_question_it_is_yes_or_no(target):
    answers, question = ModelJudge(target, [REFUSAL, BIRD]).choices(REFUSAL)
    assert answers == ["Yes", "No"]
    assert '"Refuse"' in question
    [score] = ModelJudge(target, ())(["I cannot."], REFUSAL)
    assert 0 < score < 1


def test_without_inspect_a_judge_behind_an_interface_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai.model", None)
    with pytest.raises(ConfigError, match=r"activation-oracles\[inspect\]"):
        ApiJudge("mockllm/model")(["An owl."], BIRD)


@pytest.fixture
def replying():
    models = pytest.importorskip("inspect_ai.model", reason=WHY)

    def judge(reply):
        def outputs(asked, *_):
            said = models.ModelOutput.from_content("mockllm", reply(asked[-1].text))
            # Else it is counted by a tokenizer from the network.
            return said.model_copy(update={"usage": models.ModelUsage()})

        return ApiJudge("mockllm/model", settings={"custom_outputs": outputs})

    return judge


@INSPECT
def test_a_model_behind_an_interface_says_yes_or_no_of_each_text(replying):
    judge = replying(lambda asked: "Yes, it is." if "owl" in asked else "no")
    texts = ["An owl.", "A cat.", "Two owls."]
    assert judge(texts, BIRD) == [1, 0, 1]
    assert judge(texts[:1], BIRD) == [1], "it can be asked again"
    asked = []
    replying(lambda text: asked.append(text) or "Yes")(["A cat."], BIRD)
    assert "A cat." in asked[0]
    assert '"Bird"' in asked[0]


@INSPECT
def test_a_model_that_says_neither_is_no_judge(replying):
    with pytest.raises(DataError, match=r"said 'Notably, who knows\?'"):
        replying(lambda _: "Notably, who knows?")(["A cat."], BIRD)


def test_a_model_that_inspect_does_not_know_is_refused():
    pytest.importorskip("inspect_ai.model", reason=WHY)
    with pytest.raises(ConfigError, match="no_such/judge"):
        ApiJudge("no_such/judge")(["A cat."], BIRD)
