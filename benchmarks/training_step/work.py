"""What a batch takes, counted in matrix operations."""

from collections.abc import Sequence

from activation_oracles.training.prepare import Run
from activation_oracles.types import Example
from training_step.mixture import Batch
from training_step.sides import prompts_of


class Work:
    """Counts the matrix operations of a batch: two for every weight and token, and attention's."""

    def __init__(self, run: Run) -> None:
        self._run, self.prompts = run, prompts_of(run)
        network, block = run.oracle.model.network, run.oracle.model.blocks.stack[0]
        sizes = {name: weight.numel() for name, weight in block.named_parameters()}
        self.base = sum(size for name, size in sizes.items() if "base_layer.weight" in name)
        self._lora = sum(size for name, size in sizes.items() if f".{run.oracle.adapter}." in name)
        config = network.config
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._heads = config.num_attention_heads * head
        self._output = network.lm_head.weight.numel()
        self.blocks = run.oracle.model.num_layers

    def needed(self, window: Sequence[Batch]) -> int:
        """Each text once as deep as is asked for, no padding, logits at labels, nothing twice."""
        texts: dict[str, list[Example]] = {}
        prompts = [self.prompts[index] for batch in window for index in batch]
        for example in (self._run.examples[index] for batch in window for index in batch):
            texts.setdefault(example.source, []).append(example)
        reading = sum(
            (1 + max(max(one.layers) for one in some))
            * self._pass(max(len(one.context) for one in some), base=1)
            for some in texts.values()
        )
        learning = sum(self._pass(len(one.ids), base=2, lora=3, seen=3) for one in prompts)
        labels = sum(len(one.ids) - one.answer_start for one in prompts)
        return reading + self.blocks * learning + 4 * self._output * labels

    def spent(self, window: Sequence[Batch]) -> int:
        """What the plain loop does."""
        total = 0
        for batch in window:
            examples = [self._run.examples[index] for index in batch]
            deepest = max(max(one.layers) for one in examples)
            reading = self._pass(max(len(one.context) for one in examples), base=1)
            width = max(len(self.prompts[index].ids) for index in batch)
            learning = self._pass(width, base=3, lora=4, seen=4)
            per_row = (1 + deepest) * reading + self.blocks * learning + 4 * self._output * width
            total += len(batch) * per_row
        return total

    def _pass(self, tokens: int, *, base: int, lora: int = 0, seen: int = 1) -> int:
        """Of one block: passes through its weights, through its adapter, and of attention."""
        weights = 2 * tokens * (base * self.base + lora * self._lora)
        return weights + seen * 2 * tokens * tokens * self._heads
