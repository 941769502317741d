"""What `ao ask` and `ao sweep` read: which model, which text, which tokens, at which layers."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from activation_oracles.errors import DataError

if TYPE_CHECKING:
    from activation_oracles.models.chat import Chat
    from activation_oracles.models.positions import Selector
    from activation_oracles.models.target import Target
    from activation_oracles.oracle.controls import Control
    from activation_oracles.oracle.oracle import Oracle
    from activation_oracles.types import Activations

CONTROLS = ("nothing", "random", "base", "text")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A reading that was taken, and the oracle to ask about it."""

    target: "Target"
    oracle: "Oracle"
    source: "str | Chat"
    activations: "Activations"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A text, read by a target."""

    target: str
    """Folder or hub id of the model to read."""
    oracle: str
    """Folder or hub id of the oracle trained for that model."""
    abstainer: str | None = None
    """Folder or hub id of another oracle for that model, taught to say that it cannot tell: where
    it says so, the oracle's answer is kept as a guess."""
    adapter: str | None = None
    """Folder or hub id of an adapter to read the target under."""
    text: str | None = None
    """What the target reads: plain words, or @FILE."""
    chat: str | None = None
    """Or a chat: a JSON list of messages with role and content, or a file that holds one."""
    difference: bool = False
    """Show what the adapter adds: its activations minus those without it, of the same text."""
    in_proportion: float | None = None
    """Write each slot of the difference at so many times its relative strength, instead of all at
    the strength that the oracle was trained at."""
    at: str = "all"
    """Which tokens: all, -1, 3:9, 2,5, "last assistant turn", user, '"some words"' ..."""
    layers: tuple[int, ...] = ()
    """After which blocks, counted from 0. By default, where `ao depth` found the oracle to read
    best, or what it was trained on."""
    dtype: str = "auto"
    """As float32 or bfloat16; auto keeps the checkpoint's."""
    quantize: Literal["8bit", "4bit"] | None = None
    """Load the weights in 8 or 4 bits, through bitsandbytes."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """Instead of a device: spread over all that there are, then main memory, then disk."""

    def open(self, *, every_layer: bool) -> Opened:
        """Load target and oracle and read the text; by default at the oracle's usual layers.

        Raises:
            OracleError: something is missing, malformed, or does not belong to the rest.
        """
        source = self.source()
        if self.difference and self.adapter is None:
            raise DataError("A difference needs an --adapter: what is shown is what it adds.")
        if self.in_proportion is not None and not self.difference:
            raise DataError(
                "Only a difference has a relative strength: give --difference, or leave out "
                "--in-proportion."
            )
        from transformers.utils import logging

        from activation_oracles.models.chat import check_source
        from activation_oracles.models.target import Difference, Target

        # What needs no model is looked at first: to load one may take minutes.
        check_source(source)
        self._check_folders()

        if not sys.stderr.isatty():
            logging.disable_progress_bar()

        target = Target.from_pretrained(
            self.target,
            adapter=self.adapter,
            dtype=self.dtype,
            device=self.device,
            device_map=self.device_map,
            attention=self.attention,
            quantize=self.quantize,
        )
        oracle = self._oracle(target)
        usual = oracle.card.usual_layers
        if every_layer:
            usual = tuple(sorted({*oracle.card.trained_layers, *usual}))
        reads = Difference(target, Target(target.model)) if self.difference else target
        activations = reads.read(source, layers=self.layers or usual, positions=selector(self.at))
        if self.in_proportion is not None:
            oracle = oracle.in_proportion(self.in_proportion)
        return Opened(target=target, oracle=oracle, source=source, activations=activations)

    def _check_folders(self) -> None:
        """Refuse adapters that lie in no folder here and are no hub's, and malformed cards."""
        from activation_oracles.oracle.card import Card
        from activation_oracles.oracle.hub_files import folder_of

        if self.adapter is not None:
            folder_of(self.adapter)
        for one in (self.oracle, self.abstainer):
            if one is not None and folder_of(one) is not None:
                Card.load(one)

    def _oracle(self, target: "Target") -> "Oracle":
        from activation_oracles.oracle.oracle import Oracle

        oracle = Oracle.from_pretrained(self.oracle, model=target.model)
        if self.abstainer is None:
            return oracle
        abstainer = Oracle.from_pretrained(self.abstainer, model=target.model, name="abstainer")
        return oracle.with_abstainer(abstainer)

    def source(self) -> "str | Chat":
        """Return the text or chat to read.

        Raises:
            DataError: none or both were given, or a file is missing or malformed.
        """
        if self.text is not None and self.chat is None:
            return words(self.text)
        if self.chat is not None and self.text is None:
            return messages(self.chat)
        raise DataError("Give either --text or --chat: what the target reads.")

    def check_controls(self, names: Sequence[str]) -> None:
        """Refuse controls that there are not.

        Raises:
            DataError: an unknown name, or `base` where the target has no adapter.
        """
        for name in names:
            if name not in CONTROLS or (name == "base" and self.adapter is None):
                raise DataError(
                    f"There is no control {name!r} here. Controls are {', '.join(CONTROLS)}; base "
                    "needs an --adapter to leave out."
                )

    def controls(
        self, names: Sequence[str], opened: Opened, *, donor: str | None = None
    ) -> "list[Control]":
        """Return the controls of these names, and a donor text's activations where one is given.

        Raises:
            DataError: an unknown name, or `base` where the target has no adapter.
        """
        from activation_oracles.models.target import Target
        from activation_oracles.oracle.controls import AsText, Donor, Nothing, RandomDirection

        self.check_controls(names)
        layers = tuple(dict.fromkeys(opened.activations.layers))
        found: list[Control] = []
        for name in names:
            if name == "nothing":
                found.append(Nothing())
            elif name == "random":
                found.append(RandomDirection())
            elif name == "text":
                found.append(AsText(opened.target, opened.source))
            else:
                bare = Target(opened.target.model)
                base = bare.read(opened.source, layers=layers, positions=selector(self.at))
                found.append(Donor(base, name="base"))
        if donor is not None:
            other = opened.target.read(words(donor), layers=layers, positions="all")
            found.append(Donor(other))
        return found


def selector(at: str) -> "Selector":
    """Turn `-1`, `3:9` and `2,5` into numbers; leave names and quoted words as they are."""
    if re.fullmatch(r"-?\d+", at):
        return int(at)
    if re.fullmatch(r"(-?\d+)?:(-?\d+)?", at):
        start, stop = (int(end) if end else None for end in at.split(":"))
        return slice(start, stop)
    if re.fullmatch(r"-?\d+(,\s*-?\d+)+", at):
        return [int(index) for index in at.split(",")]
    return at


def words(setting: str) -> str:
    """Return plain words as they are, and the content of @FILE."""
    return _content(setting[1:]) if setting.startswith("@") else setting


def messages(setting: str) -> "Chat":
    """Return the messages of a chat, from JSON or from a file that holds it."""
    written = setting if setting.lstrip().startswith("[") else _content(setting)
    try:
        chat = json.loads(written)
    except json.JSONDecodeError as error:
        raise DataError(
            f"The chat is not JSON ({error}). Expected a list of messages, as "
            '[{"role": "user", "content": "Hello"}].'
        ) from error
    if not isinstance(chat, list) or not chat:
        raise DataError("The chat has no messages; expected a JSON list of them.")
    if strange := [one for one in chat if not isinstance(one, dict)]:
        raise DataError(
            f"The chat holds {strange[0]!r:.80}; expected a role and a content in each."
        )
    return chat


def _content(name: str) -> str:
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The file {name!r} cannot be read: {error}.") from error
