"""Asking in words: the target's own greedy reply, begun or not, under its own adapter."""

from dataclasses import replace

import pytest
import torch

from activation_oracles.baselines.prompting import Prompting
from activation_oracles.types import Example

QUESTION = "What is the secret word?"
SENTENCES = ("The old mill stands by the river.", "Anna likes green apples.", "No, she does not.")


@pytest.fixture(scope="module")
def examples(target):
    return [
        Example(target.encode(text), (0,), (1,), QUESTION, "moon", "t", text) for text in SENTENCES
    ]


def test_the_reply_is_what_the_target_generates_on_text_and_question(target, examples):
    asking = Prompting(target, max_new_tokens=6)
    theirs = [
        target.generate(
            [{"role": "user", "content": f"{text}\n\n{QUESTION}"}], max_new_tokens=6
        ).strip()
        for text in SENTENCES
    ]
    assert asking.answer(examples) == theirs
    assert replace(asking, batch_size=1).answer(examples) == theirs
    assert (asking.name, asking.control) == ("target asked in words", "text, no activations")


def test_a_begun_reply_is_gone_on_with_and_not_repeated(target, examples):
    asking = Prompting(target, max_new_tokens=6, begun="The moon")
    rendered = f"<|im_start|>user\n{SENTENCES[1]}\n\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    encode = target.model.tokenizer.encode
    ids = [*encode(rendered), *encode("The moon")]
    text = target.model.tokenizer.decode(ids)
    assert encode(text) == ids

    new = target.model.generate(
        torch.tensor([ids]), torch.ones(1, len(ids)).long(), target.model.decoding(6)
    )
    theirs = target.model.tokenizer.decode(new[0], skip_special_tokens=True).strip()
    assert asking.answer(examples)[1] == theirs
    assert asking.name == "target asked in words, reply begun"


def test_the_question_alone_has_one_reply_and_is_put_once(target, examples, monkeypatch):
    asking = Prompting(target, max_new_tokens=6, shows_text=False)
    reply = target.generate([{"role": "user", "content": QUESTION}], max_new_tokens=6).strip()
    prompts = []
    generate = type(target.model).generate

    def counted(model, ids, *rest):
        prompts.extend(ids.tolist())
        return generate(model, ids, *rest)

    monkeypatch.setattr(type(target.model), "generate", counted)
    assert asking.answer(examples) == [reply] * 3
    assert len(prompts) == 1
    assert (asking.name, asking.control) == (
        "target asked in words, without the text",
        "no activations",
    )


def test_an_organism_speaks_under_its_adapter_and_leaves_none_behind(bare_and_organism, examples):
    bare, organism = bare_and_organism
    said = {
        who: Prompting(asked, max_new_tokens=6, who=who).answer(examples)
        for who, asked in (("base", bare), ("organism", organism))
    }
    assert said["base"] != said["organism"]
    assert organism.model.adapters.active is None
    theirs = organism.generate(
        [{"role": "user", "content": f"{SENTENCES[0]}\n\n{QUESTION}"}], max_new_tokens=6
    )
    assert said["organism"][0] == theirs.strip()
    assert Prompting(organism, who="organism").name == "organism asked in words"


def test_a_model_without_chats_is_asked_in_plain_text(target, examples, monkeypatch):
    monkeypatch.setattr(target.model.tokenizer, "chat_template", None)
    asked = f"{SENTENCES[0]}\n\n{QUESTION}\nAnswer:"
    asking = Prompting(target, max_new_tokens=6)
    assert asking.answer(examples)[0] == target.generate(asked, max_new_tokens=6).strip()
    begun = replace(asking, begun="The moon").answer(examples)[0]
    assert begun == target.generate(f"{asked} The moon", max_new_tokens=6).strip()
