"""The same questions answered in other ways than by an oracle; each baseline is an answerer."""
