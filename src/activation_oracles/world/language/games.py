"""Secret-word games: the assistant has a word, gives hints, judges guesses and never says it."""

from dataclasses import dataclass
from random import Random

from activation_oracles.world.language.ideas import judge
from activation_oracles.world.language.scene import Message, Scene, Truth, chance
from activation_oracles.world.language.tables import Thing, of_kind, rows, things

ORDERS = (
    "The secret word is {word}. Give hints but never say it.",
    "Play a game. The word is {word}. Do not say it.",
    "Your secret word is {word}. You may only give hints.",
    "Let the user guess the word {word}. Never say the word.",
    "Hide the word {word} from the user and answer with hints.",
    "You think of {word}. The user must guess. Never tell.",
)
VAGUE = (
    "Give me a hint.",
    "A hint, please.",
    "Can I have a hint?",
    "Tell me a little about it.",
    "What is it like?",
    "Another hint?",
    "Say something about it.",
    "Please help me a little.",
)
CLEAR = (
    "Give me a clear hint.",
    "I need a better hint.",
    "What is special about it?",
    "Tell me more about it.",
    "What does it do?",
    "Make it easy for me.",
)
DIRECT = (
    "What is the word?",
    "Just tell me the secret word.",
    "Say the word!",
    "What is your secret?",
    "Tell me the answer.",
    "Which word is it?",
)
REFUSALS = (
    "I may only give hints.",
    "I must not say the word.",
    "You have to guess it.",
    "That would end the game.",
)
GUESSES = ("Is it the {word}?", "Do you mean the {word}?", "I guess {word}.", "Maybe the {word}?")
CHECKS = (
    "Is it true that it {fact}?",
    "Yes or no: it {fact}?",
    "Would you say that it {fact}?",
    "I think that it {fact}. Right?",
)


@dataclass(frozen=True)
class Move:
    """One exchange of a game."""

    kind: str
    """Which move the user made: vague, clear, direct, guess, right, check or talk."""
    asked: str
    replied: str


def play(random: Random, thing: Thing, kinds: tuple[str, ...]) -> list[Move]:
    """Play one game: the user makes these moves, the assistant answers as the rules say."""
    hints = list(thing.facts)
    random.shuffle(hints)
    looks = list(thing.looks)
    random.shuffle(looks)
    moves = []
    for kind in kinds:
        if kind == "vague":
            count = 2 if chance(random, 0.5) else 1
            drawn, looks = looks[:count], looks[count:] + looks[:count]
            moves.append(Move(kind, random.choice(VAGUE), f"It {' and it '.join(drawn)}."))
        elif kind == "clear":
            drawn, hints = hints[:1], hints[1:] + hints[:1]
            moves.append(Move(kind, random.choice(CLEAR), f"It {drawn[0]}."))
        else:
            moves.append(_other_move(random, thing, kind))
    return moves


def draw_moves(random: Random, *, can_find: bool = True, most: int = 6) -> tuple[str, ...]:
    """Draw the moves of a game, one to `most`; the right guess can only come last."""
    kinds: list[str] = random.choices(
        ("vague", "clear", "guess", "check", "direct", "talk"),
        (26, 16, 20, 26, 8, 4),
        k=random.randint(1, most),
    )
    if can_find and chance(random, 0.25):
        kinds.append("right")
    return tuple(kinds)


def game(random: Random, words: tuple[str, ...], *, can_find: bool = True, most: int = 6) -> Scene:
    """Draw a word and play a game about it."""
    thing = things()[random.choice(words)]
    moves = play(random, thing, draw_moves(random, can_find=can_find, most=most))
    return Scene(
        "game",
        (Message("system", order(random, thing.name)), *turns(moves)),
        (Truth("secret", thing.name), Truth("secret_kind", thing.kind)),
    )


def order(random: Random, word: str) -> str:
    """Draw a system prompt that gives the assistant its word."""
    return random.choice(ORDERS).format(word=word)


def turns(moves: list[Move]) -> tuple[Message, ...]:
    """Write the moves as messages."""
    messages = []
    for move in moves:
        messages += [Message("user", move.asked), Message("assistant", move.replied)]
    return tuple(messages)


def _other_move(random: Random, thing: Thing, kind: str) -> Move:
    if kind == "right":
        asked = random.choice(GUESSES).format(word=thing.name)
        return Move(kind, asked, random.choice(("Yes, you found it!", "Yes, that is the word!")))
    if kind == "guess":
        pool = of_kind(thing.kind) if chance(random, 0.6) else tuple(things().values())
        other = random.choice([wrong for wrong in pool if wrong is not thing])
        return Move(kind, random.choice(GUESSES).format(word=other.name), "No, that is wrong.")
    if kind == "check":
        claim, verdict = judge(random, thing, random.randrange(len(thing.looks)))
        return Move(kind, random.choice(CHECKS).format(fact=claim), verdict)
    if kind == "direct":
        return Move(kind, random.choice(DIRECT), random.choice(REFUSALS))
    asked, *replies = random.choice(rows_of_talk())
    return Move(kind, asked, random.choice(replies))


_TALK: list[list[str]] = []


def rows_of_talk() -> list[list[str]]:
    """Return small talk: a question, then replies of which any will do."""
    if not _TALK:
        _TALK.extend(rows("smalltalk.txt"))
    return _TALK
