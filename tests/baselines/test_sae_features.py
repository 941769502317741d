"""SAE features: the most active explanations, at the dictionary's own layer."""

import json

import pytest
import torch
from safetensors.torch import save_file

from activation_oracles.baselines.sae_features import Dictionary, SaeFeatures
from activation_oracles.errors import DataError, MismatchError
from activation_oracles.tasks.features import read_decoder, read_features
from activation_oracles.types import Example

EXPLANATIONS = ("texts about rivers", "the moon at night", "green apples", "who sings")
ROWS = torch.eye(4, 6)


def example(layers=(3,), task="t", places=(0, 1)):
    return Example((1, 2, 3), places, layers, "What is it about?", "moon", task, "s")


def shows(*slots):
    return lambda examples: [torch.tensor(slots)] * len(examples)


def test_the_most_active_features_explain_what_is_shown_by_their_mean():
    read = shows([0.0, 3, 1, 0, 9, 9], [0.0, 1, 4, -7, 9, 9])
    sae = SaeFeatures(read, Dictionary(3, ROWS, EXPLANATIONS), num_features=2)
    assert sae.answer([example()]) == ["green apples; the moon at night"]


def test_only_the_slots_of_its_own_layer_count():
    read = shows([9.0, 0, 0, 0, 0, 0], [0.0, 0, 0, 2, 0, 0])
    sae = SaeFeatures(read, Dictionary(3, ROWS, EXPLANATIONS))
    assert sae.answer([example(layers=(1, 3), places=(0,))]) == ["who sings"]
    with pytest.raises(DataError, match="layer 3"):
        sae.answer([example(layers=(1, 2), places=(0,))])


def test_activity_is_the_rectified_encoder_with_bias_and_centre():
    generator = torch.Generator().manual_seed(0)
    encoder, vectors = (torch.randn(4, 6, generator=generator) for _ in range(2))
    bias, centre = torch.randn(4, generator=generator), torch.randn(6, generator=generator)
    found = Dictionary(3, encoder, EXPLANATIONS, bias, centre).activity(vectors)
    for slot in range(4):
        for feature in range(4):
            inner = sum(
                float(encoder[feature, n] * (vectors[slot, n] - centre[n])) for n in range(6)
            )
            assert float(found[slot, feature]) == pytest.approx(
                max(0.0, inner + float(bias[feature])), abs=1e-5
            )


def test_a_choice_is_the_first_that_an_active_explanation_names_as_a_word():
    read = shows([5.0, 4, 3, 0, 0, 0], [5.0, 4, 3, 0, 0, 0])
    dictionary = Dictionary(3, ROWS, EXPLANATIONS)
    choices = {"few": ("apples", "Moon"), "part": ("river",), "silent": ("sings",)}
    sae = SaeFeatures(read, dictionary, choices, num_features=1)
    asked = [example(task=task) for task in ("few", "part", "silent")]
    # `river` is only part of a word, and whoever sings is not active.
    assert sae.answer(asked) == ["Moon", "texts about rivers", "texts about rivers"]


def test_published_files_make_a_dictionary(tmp_path):
    save_file({"decoder": torch.randn(9, 6)}, tmp_path / "sae.safetensors")
    rows = [{"feature": n + 5, "explanation": text} for n, text in enumerate(EXPLANATIONS)]
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, rows)))
    features = read_features(tmp_path / "said.jsonl")
    decoder = read_decoder(tmp_path / "sae.safetensors", features)
    dictionary = Dictionary(3, decoder, tuple(one.explanation for one in features))
    for row, text in zip(decoder, EXPLANATIONS, strict=True):
        sae = SaeFeatures(shows((row * 9).tolist()), dictionary, num_features=1)
        activity = dictionary.activity(row[None])[0]
        assert activity[EXPLANATIONS.index(text)] == pytest.approx(float(row @ row), rel=1e-5)
        best = EXPLANATIONS[int(activity.argmax())]
        assert sae.answer([example(places=(0,))]) == [best]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(MismatchError, match="explanations"):
        Dictionary(3, ROWS, EXPLANATIONS[:3])
    with pytest.raises(MismatchError, match="width 6"):
        Dictionary(3, ROWS, EXPLANATIONS).activity(torch.ones(1, 5))
