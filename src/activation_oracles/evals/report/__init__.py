"""What evaluations found, as one page and as figures."""
