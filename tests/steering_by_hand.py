"""Steering without a cache and without a hook: what every push is compared with."""

import torch

from activation_oracles.models.blocks import residual, with_residual
from activation_oracles.models.read import read
from activation_oracles.models.steered import Steered

TEXTS = (
    "Anna likes green apples.",
    "The old mill stands by the river, and the miller sings.",
    "moon",
)
NEW = 6


def directions(width, rows=1, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((rows, width), generator=generator) * 4


def added_by_hand(stream, push, row, prompt):
    """Push one unpadded sequence, token by token."""
    vector = push.vectors[row if len(push.vectors) > 1 else 0]
    several = isinstance(push.strengths, torch.Tensor) and len(push.strengths) > 1
    strength = float(push.strengths[row] if several else push.strengths)
    stream = stream.clone()
    for place in range(stream.shape[1]):
        if isinstance(push.where, str):
            first, last = {
                "all": (0, place),
                "prompt": (0, prompt - 1),
                "generated": (prompt - 1, place),
            }[push.where]
            steered = first <= place <= last
        else:
            steered = place in push.where[row if len(push.where) > 1 else 0]
        if steered:
            length = stream[0, place].norm() if push.unit == "residual" else vector.norm()
            stream[0, place] += strength * length * vector / vector.norm()
    return stream


def slow_logits(model, ids, pushes, row, prompt):
    """Return the logits of one sequence, from hooks that know neither padding nor cache."""
    handles = [
        model.blocks.stack[push.layer].register_forward_hook(
            lambda _module, _inputs, output, push=push: with_residual(
                output, added_by_hand(residual(output), push, row, prompt)
            )
        )
        for push in pushes
    ]
    try:
        with torch.no_grad():
            return model.network(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()


def slow(model, ids, pushes, row=0, new=NEW):
    """Go on greedily, from the beginning for every token."""
    ends = model.decoding(new).eos_token_id
    written = []
    while len(written) < new and not (written and written[-1] in ends):
        logits = slow_logits(model, [*ids, *written], pushes, row, len(ids))
        written.append(int(logits[-1].argmax()))
    return tuple(written)


def fast(target, pushes, prompts, **settings):
    config = target.model.decoding(NEW)
    for name, value in settings.items():
        setattr(config, name, value)
    return Steered(target, pushes).continued(prompts, config)


def streams(model, ids, layer, mask=None):
    return read(model.network, model.blocks, ids, mask, layers=[layer])[layer]
