"""Published adapters are known by their names, and doubt about one is said."""

import pytest

from activation_oracles.oracle.released import assume, released

OWNER = "adamkarvonen/checkpoints_"
LLAMA = "Llama-3_3-70B-Instruct"
ON_HUB = "meta-llama/Llama-3.3-70B-Instruct"


@pytest.mark.parametrize(
    ("name", "base", "num_layers", "kinds"),
    [
        (f"{OWNER}latentqa_cls_past_lens_addition_Qwen3-8B", "Qwen/Qwen3-8B", 36, 3),
        (f"{OWNER}latentqa_only_adding_{LLAMA}", ON_HUB, 80, 1),
        (f"{OWNER}act_cls_latentqa_pretrain_mix_adding_{LLAMA}", ON_HUB, 80, 3),
        (f"{OWNER}cls_latentqa_past_lens_gemma-3-1b-it", "google/gemma-3-1b-it", 26, 3),
        (f"{OWNER}latentqa_only_gemma-2-9b-it_lr_1e-6", "google/gemma-2-9b-it", 42, 1),
        (f"{OWNER}classification_single_token_Qwen3-8B", "Qwen/Qwen3-8B", 36, 1),
        ("nluick/MLAO-Qwen3-4B-6L-3N", "Qwen/Qwen3-4B", 36, 3),
        ("/somewhere/MLAO-Qwen3-8B-3L-1N/", "Qwen/Qwen3-8B", 36, 3),
    ],
)
def test_a_name_tells_the_base_and_what_was_trained_on(name, base, num_layers, kinds):
    found = released(name)
    assert (found.base, found.num_layers, len(found.trained_on)) == (base, num_layers, kinds)


@pytest.mark.parametrize("name", ["runs/mine", "Qwen/Qwen3-8B", "me/checkpoints_of_mine", "MLAO"])
def test_other_names_tell_nothing(name):
    assert released(name) is None


@pytest.mark.parametrize(
    ("name", "num_layers", "layers", "mode"),
    [
        (f"{OWNER}latentqa_cls_past_lens_addition_gemma-2-9b-it", 42, ((10,), (21,), (31,)), "add"),
        (f"{OWNER}latentqa_only_Qwen3-8B", 36, ((9,), (18,), (27,)), "replace"),
        ("nluick/MLAO-Qwen3-4B-3L-3N", 36, ((9, 18, 27),), "add"),
        ("nluick/MLAO-Qwen3-4B-6L-6N", 36, ((5, 10, 16, 21, 27, 32),), "add"),
    ],
)
def test_layers_and_injection_follow_from_the_name(name, num_layers, layers, mode):
    card, note = assume(name, base="base", num_layers=num_layers)
    assert (card.layers, card.mode) == (layers, mode)
    assert "no ao_config.json" in note
    assert "does not tell" not in note


def test_a_name_that_leaves_the_injection_open_says_so():
    _, note = assume(f"{OWNER}latentqa_only_Qwen3-32B", base="Qwen/Qwen3-32B", num_layers=64)
    assert "does not tell" in note
