"""Texts and prompts about nothing in particular: what a steered model should go on doing."""

from activation_oracles.dreams.effect import Neutral

NEUTRAL = Neutral(
    texts=(
        "The meeting was moved to Thursday because the room was needed for another group.",
        "To open the window, lift the handle, pull it towards you, and turn it to the left.",
        "The report has four parts. The first explains how the numbers were collected.",
        "Bring the water to a boil, add a little salt, and let it cook for about ten minutes.",
        "The library opens at nine in the morning and closes at six, except on Sundays.",
        "Most of the letters arrived on time, although a few had the wrong address.",
        "He read the instructions twice before he put the two halves of the shelf together.",
        "The second train was late, so we waited on the platform and talked for a while.",
    ),
    prompts=(
        "What is the capital of France?",
        "Explain how a bicycle stays upright.",
        "Write one sentence about the weather.",
        "How do I boil an egg?",
        "What is seven times eight?",
        "Give me a tip for better sleep.",
    ),
)
"""For any chat model."""
