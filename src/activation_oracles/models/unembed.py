"""From vectors to tokens: a target's own final norm and output layer, applied to any vector.

They are not looked for: the vectors are put in place of the last block's output and the model goes
on from there, so whatever it does to its logits (scaling, soft capping) is done, in any
architecture. The price is one pass of a single token for each vector.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from activation_oracles.errors import MismatchError
from activation_oracles.models.target import Target
from activation_oracles.models.write import Writing, injecting

SLOTS_PER_PASS = 256
"""Vectors in one pass: each becomes as many numbers as the vocabulary has tokens."""


def unembedded(
    target: Target, vectors: Float[Tensor, "slot d_model"]
) -> Float[Tensor, "slot vocabulary"]:
    """Return the target's logits for every vector, in fp32 on the CPU.

    At the last layer these are the model's own.

    Raises:
        MismatchError: the vectors are of another model's width.
    """
    model = target.model
    if vectors.shape[-1] != model.width:
        raise MismatchError(
            f"The lens of {model.name} takes vectors of width {model.width}, got "
            f"{vectors.shape[-1]}. Were they read from another model?"
        )
    found: list[Tensor] = []
    with model.using(target.adapter), torch.no_grad():
        for part in vectors.split(SLOTS_PER_PASS):
            count = part.shape[0]
            rows, first = torch.arange(count), torch.zeros(count, dtype=torch.long)
            writing = Writing(rows, first, part, num_rows=count, mode="overwrite")
            ids = torch.full((count, 1), model.pad_id, device=model.device)
            with injecting(model.blocks, model.num_layers - 1, writing):
                logits = model.network(input_ids=ids, use_cache=False).logits
            # A vocabulary may be padded: what is behind the tokenizer's last token means nothing.
            found.append(logits[:, 0, : len(model.tokenizer)].float().cpu())
    return torch.cat(found)


def top_tokens(
    tokenizer: PreTrainedTokenizerBase, scores: Float[Tensor, " vocabulary"], k: int
) -> list[tuple[str, float]]:
    """Return the `k` tokens with the highest scores."""
    best = scores.topk(min(k, scores.shape[0]))
    words = [str(tokenizer.decode([token])) for token in best.indices.tolist()]
    return list(zip(words, best.values.tolist(), strict=True))
