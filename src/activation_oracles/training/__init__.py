"""Oracles are made here: one flat loop, its settings, and checkpoints that resume exactly."""
