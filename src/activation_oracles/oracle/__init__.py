"""A model that answers questions about activations."""
