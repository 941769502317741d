"""`ao data continue`: what a model itself writes behind texts and chats."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activation_oracles.errors import ConfigError

if TYPE_CHECKING:
    from activation_oracles.tasks.continuing import ContinueConfig


@dataclass(frozen=True, kw_only=True)
class ContinueData:
    """Let a model go on with texts and chats, for the task `on_policy` to ask about.

    Run again, it goes on with a file that was begun, to the same bytes. See docs/data.md.
    """

    model: str
    """Folder or hub id of the model that goes on: the one that will be read."""
    out: str
    """A .jsonl file; its manifest lies beside it."""
    data: tuple[str, ...] = ()
    """Texts or chats: .txt, or .jsonl with `text` or `messages`."""
    config: str | None = None
    """Or a YAML file of all settings, as `corpora`; names are relative to its folder. What is typed
    here overrides it."""
    adapter: str | None = None
    """Folder or hub id of an adapter that the model goes on under."""
    max_prompt: int | None = None
    """The model is given at most so many tokens (default: 512)."""
    max_new_tokens: int | None = None
    """It writes at most so many (default: 200)."""
    temperature: float | None = None
    """0 takes the likeliest token; above, tokens are drawn (default: 1)."""
    seed: int | None = None
    """Decides where texts are cut, and what is drawn (default: 42)."""
    batch_size: int | None = None
    """Texts at once; what is drawn depends on it (default: 16)."""
    dtype: str = "auto"
    """As float32 or bfloat16; auto keeps the checkpoint's."""
    attention: str | None = None
    """transformers' attention implementation; by default the architecture's own."""
    device: str | None = None
    """As cpu or cuda:0; the first GPU, where there is one, by default."""

    def run(self) -> None:
        """Write the file, with a bar on stderr, and print its name and how much there is."""
        config = self.resolved()
        from activation_oracles.models.continuing import continuations
        from activation_oracles.models.target import Target
        from activation_oracles.tasks.continuing import Continuing

        target = Target.from_pretrained(
            self.model,
            adapter=self.adapter,
            dtype=self.dtype,
            attention=self.attention,
            device=self.device,
        )
        model = target.model
        decoding = model.decoding(config.max_new_tokens, config.temperature)

        def go_on(prompts: Sequence[Sequence[int]], *, seed: int) -> list[tuple[int, ...]]:
            return continuations(model, target.adapter, prompts, decoding, seed)

        provenance = {**asdict(target.provenance), "device": model.device.type}
        root = Path(self.config).parent if self.config else Path()
        continuing = Continuing(config, model.tokenizer, provenance, root)
        path = continuing.write(self.out, go_on, bar)
        with path.open("rb") as file:
            print(f"{path}: {sum(1 for _ in file)} texts")

    def resolved(self) -> "ContinueConfig":
        """Return the settings of the file, and those that were typed, as one.

        Raises:
            ConfigError: they are not possible, or both name files.
        """
        from activation_oracles.tasks.continuing import ContinueConfig

        values: dict[str, Any] = {}
        if self.config:
            values = ContinueConfig.load_values(self.config)
        if self.data and self.config:
            raise ConfigError("Name files with --data or in --config, not both.")
        names = ("max_prompt", "max_new_tokens", "temperature", "seed", "batch_size")
        typed = {name: getattr(self, name) for name in names}
        values |= {name: value for name, value in typed.items() if value is not None}
        if self.data:
            values["files"] = self.data
        return ContinueConfig(**values)


def bar(batches: Sequence[int]) -> Iterable[int]:
    """Draw batches as a progress bar on stderr."""
    from tqdm import tqdm

    return tqdm(batches, unit=" batches")
