"""Any Hugging Face decoder: activations taken out of it, and put into it."""
