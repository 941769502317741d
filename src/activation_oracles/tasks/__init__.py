"""Questions whose answers are known: sources of text become `Example`s, deterministically."""
