"""Vectors made by gradient from an oracle: what it swears by, and what a target makes of them."""
