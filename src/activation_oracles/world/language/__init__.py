"""The village's language: scenes drawn from a seed, each with everything that is true of it."""
