"""Prompts of an oracle with a random adapter, and what they are answered one by one."""

import torch
from peft import LoraConfig

from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Asked
from activation_oracles.oracle.card import Card
from activation_oracles.oracle.oracle import Oracle

QUESTIONS = ("Is it a mill?", "What stands by the old river, and why does it?")
CHOICES = ("Yes", "a mill by the river", "the old")


def prompts_of(model, layers="all-linear"):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        lora = LoraConfig(r=4, target_modules=layers, init_lora_weights=False)
        oracle = Oracle.new(model, Card.for_model(model), lora)
    reading = Target(model).read(
        "The old mill stands by the river.", layers=1, positions=slice(1, 4)
    )
    asker = oracle._asker
    template = asker.template
    shown = [reading.vectors, 3 * reading.vectors.flip(0)]
    return asker, [
        (template, Asked(template.build((1,), 3, question), vectors), question)
        for question, vectors in zip(QUESTIONS, shown, strict=True)
    ]


def each_alone(asker, asked, how):
    """Answer prompts one by one, each in one pass of transformers' own generation."""
    with asker.model.using(asker.adapter), torch.no_grad():
        ids = [asker._drawn_apart([one], how, None)[0] for one in asked]
    return [[one] for one in asker._read_out(ids)]


def following_alone(asker, one):
    """Return what may follow a prompt, from one pass without a cache."""
    batch = asker.batch([one], whole=False)
    with asker.model.using(asker.adapter), torch.no_grad(), asker.injecting(batch):
        logits = asker.model.network(input_ids=batch.ids, use_cache=False).logits
    return logits[:, -1].float().log_softmax(dim=-1)
