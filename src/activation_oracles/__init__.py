"""Ask a language model's activations what they hold."""
