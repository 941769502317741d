"""A village small enough to ship: a model with real secrets, and an oracle that reads it."""
