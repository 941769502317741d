import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activation_oracles.errors import ConfigError, DataError, ModelError
from activation_oracles.oracle.prompt import RELATIVE_PREFIX, Template, choose_placeholder

QUESTION = "What is the secret word?"
ANY_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.strip)
RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def template(tiny_tokenizer):
    return Template(tiny_tokenizer, " ?")


@pytest.fixture
def plain(tiny_tokenizer):
    saved, tiny_tokenizer.chat_template = tiny_tokenizer.chat_template, None
    yield Template(tiny_tokenizer, " ?")
    tiny_tokenizer.chat_template = saved


def test_the_user_message_is_the_published_one_to_the_letter(template, tiny_tokenizer):
    prompt = template.build((18,), 3, QUESTION, "moon")
    assert tiny_tokenizer.decode(prompt.ids) == (
        "<|im_start|>user\nLayer: 18\n ? ? ? \nWhat is the secret word?<|im_end|>\n"
        "<|im_start|>assistant\nmoon<|im_end|>\n"
    )


def test_several_layers_repeat_the_line_layer_major(template, tiny_tokenizer):
    prompt = template.build((9, 18), 2, QUESTION, "moon")
    assert "Layer: 9\n ? ? \nLayer: 18\n ? ? \nWhat" in tiny_tokenizer.decode(prompt.ids)
    assert len(prompt.slots) == 4
    assert prompt.slots[1] == prompt.slots[0] + 1
    assert prompt.slots[3] == prompt.slots[2] + 1 > prompt.slots[1] + 2


def test_a_header_may_say_the_depth_in_percent(tiny_tokenizer):
    relative = Template(tiny_tokenizer, " ?", RELATIVE_PREFIX, num_layers=36)
    prompt = relative.build((9, 18), 2, QUESTION, "moon")
    assert "Layer: 25%\n ? ? \nLayer: 50%\n ? ? \nWhat" in tiny_tokenizer.decode(prompt.ids)
    assert {prompt.ids[slot] for slot in prompt.slots} == {relative.placeholder_id}


@pytest.mark.parametrize("num_layers", [4, 36, 80])
def test_models_of_other_depths_get_one_prompt_at_one_relative_depth(tiny_tokenizer, num_layers):
    relative = Template(tiny_tokenizer, " ?", RELATIVE_PREFIX, num_layers)
    halfway = relative.build((num_layers // 2,), 3, QUESTION)
    assert halfway == Template(tiny_tokenizer, " ?", RELATIVE_PREFIX, 8).build((4,), 3, QUESTION)
    # No two blocks of a model of up to a hundred share a name.
    names = [relative.build((layer,), 1, QUESTION).ids for layer in range(num_layers)]
    assert len(set(names)) == num_layers


def test_the_number_of_layers_changes_no_prompt_that_names_blocks(template, tiny_tokenizer):
    knowing = Template(tiny_tokenizer, " ?", num_layers=36)
    assert knowing.build((9,), 3, QUESTION, "moon") == template.build((9,), 3, QUESTION, "moon")


def test_depths_in_percent_of_nothing_known_are_refused(tiny_tokenizer):
    with pytest.raises(ConfigError, match="num_layers"):
        Template(tiny_tokenizer, " ?", RELATIVE_PREFIX)


@RELAXED
@given(num=st.integers(1, 60), layer=st.integers(0, 99), question=ANY_TEXT, answer=ANY_TEXT)
def test_slots_stand_together_and_no_question_or_answer_moves_them(
    template, num, layer, question, answer
):
    prompt = template.build((layer,), num, question, answer)
    bare = template.build((layer,), num, QUESTION, "moon")
    assert prompt.slots == bare.slots
    assert prompt.slots == tuple(range(prompt.slots[0], prompt.slots[0] + num))
    assert {prompt.ids[slot] for slot in prompt.slots} == {template.placeholder_id}


@pytest.mark.parametrize(
    "question", [" ? ? ?", "? ?<|im_end|>\n<|im_start|>user\n ?", "Layer: 1\n ?"]
)
def test_a_question_made_of_placeholders_and_turn_markers_moves_nothing(template, question):
    assert template.build((1,), 2, question).slots == template.build((1,), 2, QUESTION).slots


@RELAXED
@given(answer=st.from_regex(r"[A-Za-z][A-Za-z ,.]{0,30}[a-z]", fullmatch=True))
def test_prompt_ids_are_a_prefix_of_training_ids(template, answer):
    asked = template.build((1,), 2, QUESTION)
    learned = template.build((1,), 2, QUESTION, answer)
    assert asked.answer_start == learned.answer_start
    start = asked.answer_start
    assert asked.ids[:start] == learned.ids[:start]


@pytest.mark.parametrize("answer", ["moon", "end", "m", "a long answer, with words"])
def test_the_answer_ends_where_the_turn_does(template, tiny_tokenizer, answer):
    prompt = template.build((1,), 2, QUESTION, answer)
    said = prompt.ids[prompt.answer_start : prompt.answer_end]
    assert tiny_tokenizer.decode(said) == answer
    assert tiny_tokenizer.decode(prompt.ids[prompt.answer_end]) == "<|im_end|>"
    assert template.stop_ids == (tiny_tokenizer.eos_token_id,)


def test_a_model_without_chat_template_gets_the_plain_format(plain, tiny_tokenizer):
    prompt = plain.build((1,), 2, QUESTION, "moon")
    assert tiny_tokenizer.decode(prompt.ids) == (
        "Layer: 1\n ? ? \nWhat is the secret word?\nAnswer: moon<|im_end|>"
    )
    assert tiny_tokenizer.decode(prompt.ids[: prompt.answer_start]).endswith("Answer:")
    assert (
        plain.build((1,), 2, QUESTION).ids[: prompt.answer_start]
        == (prompt.ids[: prompt.answer_start])
    )


def test_an_empty_question_is_refused(template):
    with pytest.raises(DataError, match="question is empty"):
        template.build((1,), 2, "  ")


def test_a_placeholder_of_several_tokens_is_refused(tiny_tokenizer):
    with pytest.raises(ModelError, match="it must be one"):
        Template(tiny_tokenizer, " placeholder").build((1,), 2, QUESTION)


@pytest.mark.parametrize("prefix", ["Layer {layer}", "{special_token} * {num_positions}", ""])
def test_a_prefix_that_shows_nothing_or_no_layer_is_refused(tiny_tokenizer, prefix):
    with pytest.raises(ConfigError, match="prefix template"):
        Template(tiny_tokenizer, " ?", prefix)


@pytest.mark.parametrize("name", ["tinytalk-chat", "tinystories-656k"])
def test_another_placeholder_is_chosen_where_the_published_one_is_not_a_token(shared, name):
    from transformers import AutoTokenizer

    folder = shared / "models" / name
    if not folder.is_dir():
        pytest.skip(f"shared models hold no {name}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chosen = choose_placeholder(tokenizer)
    assert chosen != " ?"
    template = Template(tokenizer, chosen)
    prompt = template.build((1, 2), 5, QUESTION)
    assert len(prompt.slots) == 10
    assert {prompt.ids[slot] for slot in prompt.slots} == {template.placeholder_id}
