"""Judging answers: grades, intervals and the tables made of them. Answerers are handed in."""
