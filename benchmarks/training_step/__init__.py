"""What `train_step.py` compares: a mixture of examples, two ways to learn from it, their work."""
