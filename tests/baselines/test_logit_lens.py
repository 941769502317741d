"""The logit lens: the model's own logits where the model itself would give them."""

import pytest
import torch
import transformers as hf

from activation_oracles.baselines.logit_lens import (
    LogitLens,
    first_tokens,
    spoken,
    token_scores,
    tokens,
    usual,
)
from activation_oracles.errors import DataError, MismatchError
from activation_oracles.models.load import load
from activation_oracles.models.target import Target
from activation_oracles.models.unembed import unembedded
from activation_oracles.types import Activations, Example

SMALL = {
    "vocab_size": 416,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
# What stands between the last block and the logits: a norm, with a shift or without; logits that
# are scaled or capped.
TAILS = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SMALL)),
    "capped": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=0.05)
    ),
    "scaled": lambda: hf.CohereForCausalLM(hf.CohereConfig(**SMALL, logit_scale=0.1)),
    "shifted": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(vocab_size=416, n_embd=32, n_layer=3, n_head=4, n_positions=128)
    ),
}  # fmt: skip


@pytest.fixture(params=TAILS)
def model(request, tmp_path, tiny_tokenizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        TAILS[request.param]().save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    return load(str(tmp_path), dtype="float32", device="cpu")


def test_at_the_last_layer_the_lens_says_what_the_model_says(model, context):
    reading = Target(model).read(model.tokenizer.decode(context), layers=model.num_layers - 1)
    with torch.no_grad():
        theirs = model.network(input_ids=torch.tensor([reading.token_ids])).logits[0]
    ours = unembedded(Target(model), reading.vectors)
    assert torch.allclose(ours, theirs[:, : len(model.tokenizer)], atol=1e-5)


def test_the_lens_of_an_earlier_layer_is_the_norm_and_the_output_layer(target, context):
    vectors = target.vectors([Example(context, (1, 3), (1, 2), "?", "a", "t", "s")])[0]
    network = target.model.network
    with torch.no_grad():
        theirs = network.lm_head(network.model.norm(vectors))
    assert torch.allclose(unembedded(target, vectors), theirs, atol=1e-5)


def test_many_vectors_run_in_parts_and_none_is_lost(target, monkeypatch):
    vectors = torch.randn(11, 32, generator=torch.Generator().manual_seed(0))
    whole = unembedded(target, vectors)
    for place in ("models.unembed", "baselines.logit_lens"):
        monkeypatch.setattr(f"activation_oracles.{place}.SLOTS_PER_PASS", 4)
    assert torch.allclose(unembedded(target, vectors), whole, atol=1e-5)
    shown = [(vectors[:3], (1, 1, 2)), (vectors[3:], (2,) * 8)]
    common = usual(target, shown)
    assert torch.allclose(common[1], whole[:2].mean(dim=0), atol=1e-5)
    assert torch.allclose(common[2], whole[2:].mean(dim=0), atol=1e-5)
    for scores, part in zip(token_scores(target, shown), whole.split([3, 8]), strict=True):
        assert torch.allclose(scores, part.mean(dim=0), atol=1e-5)


def meaning(target, token, layer=1):
    """Return a reading whose vector is a row of the output layer: what speaks for that token."""
    row = target.model.network.lm_head.weight[[token]].detach()
    return Activations.own(row / row.norm() * 30, layer=layer, note="a row of the output layer")


def test_a_vector_that_speaks_for_a_token_is_read_as_that_token(target):
    (token,) = target.model.tokenizer.encode(" river", add_special_tokens=False)
    (word, score), *others = tokens(target, meaning(target, token), 5)
    assert word == " river"
    assert all(score > less for _, less in others)


def test_what_the_background_holds_drops_out(target):
    mill, river = (
        target.model.tokenizer.encode(word, add_special_tokens=False)[0]
        for word in (" mill", " river")
    )
    common = meaning(target, mill).vectors
    both = meaning(target, river).with_vectors(meaning(target, river).vectors + 3 * common, "mixed")
    background = [meaning(target, mill)]
    assert tokens(target, both, 1)[0][0] == target.model.tokenizer.decode([mill])
    assert tokens(target, both, 1, background=background)[0][0] == " river"
    with pytest.raises(DataError, match="at layers"):
        tokens(target, meaning(target, river, layer=2), background=background)


def test_vectors_of_another_width_are_refused(target):
    with pytest.raises(MismatchError, match="width 32"):
        unembedded(target, torch.zeros(1, 7))


def test_an_answer_begins_with_or_without_a_space(target):
    tokenizer = target.model.tokenizer
    with_space, without = tokenizer.encode(" river"), tokenizer.encode("river")
    assert first_tokens(tokenizer, "river") == [without[0], with_space[0]]
    scores = torch.zeros(len(tokenizer))
    scores[with_space[0]] = 1
    assert spoken(tokenizer, scores, ("moon", "river")) == "river"
    assert spoken(tokenizer, scores, None) == "river"
    with pytest.raises(DataError, match="word"):
        spoken(tokenizer, scores, ("moon", " "))


def test_as_an_answerer_it_reads_what_the_oracle_is_shown_and_chooses_where_it_can(target, context):
    words = ("river", "apples")
    examples = [
        Example(context, (place,), (1,), "Which?", word, task, "s")
        for place, word in enumerate(words)
        for task in ("few", "many")
    ]
    rows = {
        word: meaning(target, target.model.tokenizer.encode(f" {word}")[0]).vectors
        for word in words
    }

    def read(asked):
        return [rows[words[one.positions[0]]] for one in asked]

    lens = LogitLens(target, read, {"few": words[::-1]})
    said = lens.answer(examples)
    assert said[0::2] == list(words)
    assert said[1] == "river"
    tuned = LogitLens(target, read, {"few": words}, background=examples)
    assert (lens.name, tuned.name) == ("logit lens", "tuned token list")
    assert tuned.answer(examples)[0::2] == list(words)
    with pytest.raises(DataError, match="at layers"):
        tuned.answer([Example(context, (0,), (2,), "Which?", "river", "few", "s")])
