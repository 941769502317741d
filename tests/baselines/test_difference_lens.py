"""The activation-difference lens: the mean of what one reader adds to another, as tokens."""

import pytest
import torch

from activation_oracles.baselines.difference_lens import DifferenceLens, mean_differences
from activation_oracles.errors import DataError, MismatchError
from activation_oracles.types import Example


def example(context, places, layers=(1,), task="t"):
    return Example(context, places, layers, "What changed?", "river", task, "s")


def test_the_mean_is_over_all_slots_of_a_layer(bare_and_organism, context):
    bare, organism = bare_and_organism
    texts = [example(context, (1, 2), (0, 2)), example(context[:6], (3,), (2,))]
    found = mean_differences(texts, organism.vectors, bare.vectors)
    at = {
        (who, layer, n): (organism if who else bare).vectors([example(text, places, (layer,))])[0]
        for who in (0, 1)
        for layer in (0, 2)
        for n, (text, places) in enumerate([(context, (1, 2)), (context[:6], (3,))])
    }
    first = (at[1, 0, 0] - at[0, 0, 0]).mean(dim=0)
    second = torch.cat([at[1, 2, n] - at[0, 2, n] for n in (0, 1)]).mean(dim=0)
    assert torch.allclose(found[0], first, atol=1e-4)
    assert torch.allclose(found[2], second, atol=1e-4)


def test_a_direction_that_was_added_everywhere_is_found_and_chosen(target, context):
    (token,) = target.model.tokenizer.encode(" river", add_special_tokens=False)
    direction = target.model.network.lm_head.weight[token].detach() * 3
    texts = [example(context, (place,)) for place in range(2, 8)]

    def steered(examples):
        return [vectors + direction for vectors in target.vectors(examples)]

    lens = DifferenceLens(target, steered, target.vectors, texts, {"few": ("moon", "river")})
    words, scores = zip(*lens.tokens(4), strict=True)
    assert words[0] == " river"
    assert list(scores) == sorted(scores, reverse=True)
    network = target.model.network
    with torch.no_grad():
        theirs = network.lm_head(network.model.norm(direction))
    assert torch.allclose(lens.scores, theirs, atol=1e-4)
    assert lens.answer([example(context, (1,), task="few"), example(context, (1,))]) == [
        "river",
        "river",
    ]
    opposite = DifferenceLens(target, target.vectors, steered, texts)
    assert opposite.tokens(1)[0][0] != " river"


def test_readers_that_agree_or_do_not_fit_are_refused(target, context):
    texts = [example(context, (1, 2))]
    with pytest.raises(DataError, match="agree"):
        DifferenceLens(target, target.vectors, target.vectors, texts).tokens()
    with pytest.raises(DataError, match="at least one"):
        DifferenceLens(target, target.vectors, target.vectors, []).tokens()
    with pytest.raises(MismatchError, match="shapes"):
        mean_differences(texts, target.vectors, lambda _: [torch.zeros(1, 32)])
