"""A row of an evaluation: an example, whose activations answer it, and what it is evidence of."""

from dataclasses import dataclass

from activation_oracles.types import Example


@dataclass(frozen=True)
class Case(Example):
    """An example of which it is known which model is read, and what was said before."""

    subject: str = ""
    """Whose activations are read, by name; the empty name is the model without an adapter."""
    unit: str = ""
    """What counts as one observation: its word, person or prompt. Its source where empty."""
    talk: tuple[tuple[str, str], ...] = ()
    """Role and content of every message before the question: what is asked in words goes on
    from here. Where there is none, from the text of `context`."""


def subject_of(example: Example) -> str:
    """Return whose activations are read; the empty name is the model without an adapter."""
    return example.subject if isinstance(example, Case) else ""


def unit_of(example: Example) -> str:
    """Return what an example is one observation of: by default the text it comes from."""
    return (example.unit if isinstance(example, Case) else "") or example.source


def followed_by_question(case: Case) -> list[dict[str, str]]:
    """Return the talk with the question as the user's next words, to put it to a chat model.

    Where the user spoke last the question stands below those words, as a text and a question on it.
    """
    *before, last = case.talk
    chat = [{"role": role, "content": content} for role, content in before]
    role, content = last
    if role == "user":
        return [*chat, {"role": "user", "content": f"Read this.\n{content}\n{case.question}"}]
    return [*chat, {"role": role, "content": content}, {"role": "user", "content": case.question}]
