"""What every test runs under: shapes are checked, one thread, no network."""

import os
import resource
import sys
from pathlib import Path

# Before anything loads the library that reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

from families import FAMILIES, HYBRIDS

ROOMS = ("types", "models", "oracle", "baselines", "tasks", "training", "evals", "dreams", "world")
# Loads nothing yet: checks every annotated shape at every call from here on. Not in cli, which has
# no shapes and names types that it does not load.
install_import_hook([f"activation_oracles.{room}" for room in ROOMS], "shape_checks.check")
torch.set_num_threads(1)
# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

LOCAL = ("127.0.0.1", "::1", "localhost")


def refuse_network(event: str, arguments: tuple) -> None:
    """Let a test that reaches for the network fail where it does so."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and address[0] not in LOCAL:
        raise RuntimeError(f"A test tried to reach {address}; tests run offline.")


sys.addaudithook(refuse_network)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared models and data beside the repository, or skip."""
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("AO_SHARED", default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"no shared models and data at {folder.name}; set AO_SHARED to their folder")
    return folder


@pytest.fixture
def disk():
    """Return a function that lets no file grow beyond a size: the kernel refuses, as if full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


SENTENCES = (
    "The old mill stands by the river, and the miller sings.",
    "Anna likes green apples. Does she like pears? No, she does not.",
    "What is the secret word? It is not hard to say: moon, boat, river.",
    "Layer: 1\n ? ? ? \nIs this true? Answer with Yes or No.",
    "user: hello there\nassistant: good morning to you",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """Return a byte-level BPE of 400 tokens, with ChatML turns, in which ` ?` is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, tiny_tokenizer) -> Path:
    """Return a folder with a random Llama of four blocks and width 32, and its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "llama"
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=tiny_tokenizer.eos_token_id,
        pad_token_id=tiny_tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory, tiny_tokenizer):
    """Return a function from a family's name to a folder with such a model, saved once."""
    root = tmp_path_factory.mktemp("families")

    def folder(name: str):
        path = root / name
        if not path.exists():
            with torch.random.fork_rng():
                torch.manual_seed(1)
                FAMILIES[name]().save_pretrained(path)
            tiny_tokenizer.save_pretrained(path)
        return path

    return folder


@pytest.fixture(params=FAMILIES)
def family(request, family_folders):
    """Return a loaded model of each family in turn."""
    from activation_oracles.models.load import load

    return load(str(family_folders(request.param)), dtype="float32", device="cpu")


@pytest.fixture(params=HYBRIDS)
def hybrid(request, tiny_tokenizer):
    """Return a loaded model of each hybrid family in turn."""
    from activation_oracles.models.blocks import decoder_blocks
    from activation_oracles.models.load import LanguageModel

    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = HYBRIDS[request.param]().eval()
    return LanguageModel(network, tiny_tokenizer, request.param, decoder_blocks(network))
