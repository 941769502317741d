"""Every golden case of the reference implementation, one by one and as one padded batch."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from activation_oracles.models.load import LanguageModel, load
from activation_oracles.models.target import Target
from activation_oracles.oracle.asking import Asked, Asker, Decoding
from activation_oracles.oracle.oracle import Oracle
from activation_oracles.types import Example

DEFAULT = Path(__file__).parents[3] / "shared" / "golden"
GOLDEN = Path(os.environ.get("AO_GOLDEN", DEFAULT))
FOLDERS = sorted(path.parent for path in GOLDEN.glob("**/cases.json"))
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(
    not FOLDERS, reason="no golden cases of the reference implementation; set AO_GOLDEN"
)


@dataclass
class Golden:
    """One folder of cases, with its model and oracle loaded."""

    model: LanguageModel
    oracle: Oracle
    cases: list[dict]
    vectors: dict[str, torch.Tensor]
    batch_loss: float

    @property
    def examples(self) -> list[Example]:
        return [
            Example(
                context=tuple(case["context_ids"]),
                positions=tuple(case["positions"]),
                layers=(case["layer"],),
                question=case["question"],
                answer=case["answer"],
                task="golden",
                source=str(number),
            )
            for number, case in enumerate(self.cases)
        ]

    @property
    def asker(self) -> Asker:
        return self.oracle._asker


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def golden(request) -> Golden:
    folder = request.param
    record = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    model = load(str(folder / "base"), dtype="float32", device="cpu")
    for module in model.network.modules():
        if isinstance(module, torch.nn.Dropout):
            # Learning drops what the base's own config says; the cases were computed without.
            module.p = 0.0
    oracle = Oracle.from_pretrained(str(folder / "oracle"), model=model)
    assert oracle.card.block == record["injection_block"]
    vectors = load_file(folder / "vectors.safetensors")
    return Golden(model, oracle, record["cases"], vectors, record["batch_loss"])


def test_context_ids_are_the_reference_s(golden):
    for case in golden.cases:
        text = Target(golden.model).text(
            case["messages"], add_generation_prompt=case["add_generation_prompt"]
        )
        assert list(text.token_ids) == case["context_ids"]


def test_vectors_read_with_the_oracle_loaded_are_the_reference_s(golden):
    together = Target(golden.model).vectors(golden.examples)
    for number, (example, batched) in enumerate(zip(golden.examples, together, strict=True)):
        theirs = golden.vectors[f"case{number}"]
        alone = Target(golden.model).vectors([example])[0]
        assert torch.allclose(alone, theirs, atol=TOLERANCE, rtol=0)
        assert torch.allclose(batched, theirs, atol=TOLERANCE, rtol=0)


def test_oracle_ids_labels_and_slots_are_the_reference_s(golden):
    vectors = [golden.vectors[f"case{number}"] for number in range(len(golden.cases))]
    for case, example, shown in zip(golden.cases, golden.examples, vectors, strict=True):
        batch = golden.oracle.collate([example], [shown])
        assert batch.ids[0].tolist() == case["oracle_ids"]
        assert batch.labels[0].tolist() == case["labels"]
        assert batch.columns.tolist() == case["slots"]


def test_losses_are_the_reference_s(golden):
    vectors = [golden.vectors[f"case{number}"] for number in range(len(golden.cases))]
    expected = [case["loss"] for case in golden.cases]
    alone = [
        golden.oracle.losses([example], [shown])[0]
        for example, shown in zip(golden.examples, vectors, strict=True)
    ]
    together = golden.oracle.losses(golden.examples, vectors)
    assert alone == pytest.approx(expected, abs=TOLERANCE)
    assert together == pytest.approx(expected, abs=TOLERANCE)


def test_the_loss_that_is_learned_from_is_the_reference_s(golden):
    vectors = [golden.vectors[f"case{number}"] for number in range(len(golden.cases))]
    batch = golden.oracle.collate(golden.examples, vectors)
    with golden.oracle.learning(batch) as loss:
        assert loss.item() == pytest.approx(golden.batch_loss, abs=TOLERANCE)


def test_greedy_ids_are_the_reference_s_alone_and_batched(golden):
    vectors = [golden.vectors[f"case{number}"] for number in range(len(golden.cases))]
    template = golden.asker.template
    asked = [
        # With the answer: at the seam its first letters decide how the prompt's last are cut.
        Asked(template.build(e.layers, len(e.positions), e.question, e.answer), shown)
        for e, shown in zip(golden.examples, vectors, strict=True)
    ]
    decode = golden.model.tokenizer.decode
    expected = [
        decode(case["greedy_ids"], skip_special_tokens=True).strip() for case in golden.cases
    ]
    how = Decoding(max_new_tokens=8)
    assert [one.text for [one] in golden.asker.generate(asked, how)] == expected
    assert [golden.asker.generate([one], how)[0][0].text for one in asked] == expected
    for one, case in zip(asked, golden.cases, strict=True):
        assert one.prompt.ids[: one.prompt.answer_start] == tuple(
            case["oracle_ids"][: case["labels"].count(-100)]
        )
