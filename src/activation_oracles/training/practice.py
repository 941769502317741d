"""Learning from the oracle's own answers: drawn, graded, and made likelier or less likely.

REINFORCE with the mean of a question's other answers as the baseline (RLOO, Ahmadian et al. 2024,
arXiv 2402.14740), and a cost for leaving the oracle that it began as (the low-variance estimate of
Schulman 2020, as in GRPO, arXiv 2402.03300). A right answer earns 1, a wrong one costs, and saying
that it cannot tell earns a little: so it pays to answer where the oracle is right often enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from accelerate import PartialState
from jaxtyping import Float
from torch import Tensor

from activation_oracles.oracle.asking import Decoding
from activation_oracles.oracle.collate import Batch
from activation_oracles.oracle.confidence import abstains
from activation_oracles.training.config import Practice
from activation_oracles.training.parts import Share
from activation_oracles.training.prepare import Run
from activation_oracles.training.readahead import Readings
from activation_oracles.types import Example

Grade = Callable[[str, str], float | None]
"""Takes what was said and what is true; from 0 to 1, or None where it cannot judge."""


@dataclass(frozen=True)
class Practising:
    """One run's way to learn from what its oracle says."""

    run: Run
    how: Practice
    grade: Grade

    def learn(self, share: Share, found: Readings, step: int) -> Float[Tensor, ""]:
        """Draw answers to a share's questions and add up what they teach; return the mean reward.

        Negative, as a loss: less is better.
        """
        run, earned = self.run, torch.zeros(())
        seed = run.config.seed * 1_000_003 + step * 1009 + PartialState().process_index
        for number, part in enumerate(share.parts):
            examples = [run.examples[index] for index in part.indices]
            shown = [found.vectors[index] for index in part.indices]
            decoding = Decoding(
                max_new_tokens=self.how.max_new_tokens,
                samples=self.how.samples,
                temperature=self.how.temperature,
                seed=seed + 7919 * number,
            )
            said = run.oracle.samples(examples, shown, decoding)
            rewards = torch.tensor(
                [
                    [reward(answer.text, one, self.how, self.grade) for answer in drawn]
                    for one, drawn in zip(examples, said, strict=True)
                ]
            )
            worth = advantages(rewards)
            earned -= rewards.mean(dim=1).sum() / run.config.batch_size
            for row, drawn in enumerate(said):
                asked = [examples[row]] * len(drawn), [shown[row]] * len(drawn), drawn
                self._teach(run.oracle.collate_drawn(*asked), worth[row])
        return earned

    def _teach(self, batch: Batch, worth: Float[Tensor, " answer"]) -> None:
        """Add the gradients of all answers to one question, each by what it is worth."""
        assert self.run.teacher is not None, "practice has nobody to stay close to"
        in_all = self.run.config.batch_size * self.how.samples
        before = self.run.teacher.likelihoods(batch)
        with self.run.oracle.speaking(batch) as said:
            apart = before - said
            divergence = apart.exp() - apart - 1
            per_token = worth.to(said)[batch.label_rows.to(said.device)]
            loss = (self.how.closeness * divergence - per_token * said).sum() / in_all
            loss.backward()


def reward(said: str, example: Example, how: Practice, grade: Grade) -> float:
    """Return what an answer earns: 1 for a right one, less the cost where it is wrong.

    Partly right answers earn in between. What cannot be judged earns what abstaining does.
    """
    if abstains(said) and not abstains(example.answer):
        return how.abstained
    share = grade(said, example.answer)
    return how.abstained if share is None else share - (1 - share) * how.wrong


def advantages(rewards: Float[Tensor, "question answer"]) -> Float[Tensor, "question answer"]:
    """Return how much more each answer earned than the mean of the question's others."""
    count = rewards.shape[1]
    others = (rewards.sum(dim=1, keepdim=True) - rewards) / (count - 1)
    return rewards - others
