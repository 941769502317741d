"""The evaluations by name, one a file: each makes rows, a rule and choices of what is given."""
