"""A step is no more than torch's own AdamW at the scheduled rate, on the clipped gradient."""

import torch

from activation_oracles.training import loop
from activation_oracles.training.config import Lora, rate_at
from activation_oracles.training.prepare import prepare


def test_a_step_is_that_of_adamw_on_the_clipped_gradient(config, monkeypatch):
    rules = {"clip_norm": 0.01, "weight_decay": 0.7, "warmup": 0.5, "max_steps": 4}
    plain = {"lora": Lora(rank=4, alpha=8, dropout=0), "evaluate_examples": 0}
    run = prepare(config.model_copy(update={**rules, **plain}))
    copies = [one.detach().clone().requires_grad_() for one in run.parameters.values()]
    seen = []

    def learn(*arguments):
        loss = original(*arguments)
        seen.append([one.grad.clone() for one in run.parameters.values()])
        return loss

    original = loop._learn
    monkeypatch.setattr(loop, "_learn", learn)
    assert len(list(loop.steps(run))) == 4
    optimizer = torch.optim.AdamW(copies, weight_decay=0.7)
    # Before the steps comes the longest batch, which is only tried.
    for step, gradients in enumerate(seen[1:]):
        norm = torch.cat([one.flatten() for one in gradients]).norm()
        assert norm > 0.01
        for one, gradient in zip(copies, gradients, strict=True):
            one.grad = gradient * 0.01 / norm
        optimizer.param_groups[0]["lr"] = rate_at(run.config, step, 4)
        optimizer.step()
    assert step == 3
    for ours, theirs in zip(run.parameters.values(), copies, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
