"""Everything that decides the village's weights, in one record."""

from dataclasses import dataclass, field

from activation_oracles.world.organisms import OrganismRecipe
from activation_oracles.world.pretrain import PretrainConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the shipped weights."""

    seed: int = 7
    pretraining: PretrainConfig = field(default_factory=PretrainConfig)
    organisms: OrganismRecipe = field(default_factory=OrganismRecipe)
    tool_steps: int = 200
    """Steps in which the assistant with tools learns to call them."""
    gate: float = 0.9
    """What the base must reach in text, in every skill that the oracle is asked for."""
    num_questions: int = 290_000
    """How many examples are drawn for the oracle; it takes as many as its steps need."""
    closing_steps: int = 2_000
    """More steps at the end, of questions in other shares: what models hide, also before they
    speak."""
    closing_rate: float = 3e-4
    """Peak rate of those."""
    closing_seeds: tuple[int, ...] = (71, 171)
    """Each decides which questions those are, twice: in the wordings of before, and in more. The
    oracle has the mean of the weights. Steps, shares and seeds were chosen on the development
    organisms: what is read of an organism differs much from draw to draw."""
    abstaining_steps: int = 3_000
    """Steps in which another oracle learns to say that it cannot tell, from where the closing ones
    begin, on questions in their shares and of their first seed."""
    unanswered: float = 0.18
    """Share of its questions that have no answer."""
    words_only: float = 0.4
    """Share of its talks of which a message's words are shown, and none of the tokens around it:
    without, it knows no talk by its words alone, and refuses."""
    noisy: float = 1.0
    """Share of its readings that are shown with noise: without, it takes organisms for texts that
    hold no answer."""
    noise: float = 4.0
    """How strong that is at most, in lengths of what it is added to."""
    num_steps: int = 18_000
    rate: float = 1e-3
    """At twice this the oracle learns less, and forgets more of how its base answers what it is
    not asked. Chosen on the development groups: see docs/world.md."""
    batch_size: int = 16
    rank: int = 64
    block: int = 0
    """After which block vectors are written in. Block 1 of eight, unlike 1 of 36, is a quarter of
    the way: in text the base has begun to hold the question against the text by then."""
    blocks: tuple[int, ...] = (1, 2, 3)
    """Which blocks the oracle's adapter changes: enough to turn a vector into what words would have
    left there. What follows from it is left to the base's own later blocks."""
    grounding: float = 6.0
    """Weight at which slots are held to words: without it, what no question asks is lost in a long
    training."""
    grounded: tuple[str, ...] = ("classification", "recital")
    """In which tasks: where the words that are shown hold the answer."""
    precision: float = 0.9
    """How often answers should be right that the oracle's curve lets through: a choice of taste."""
    lost: float = 0.04
    """What share of the oracle's right answers about the base's texts its abstainer may take. More
    refuses more of what has no answer, and of what organisms hide, too."""
