"""The README beside a saved oracle: what a stranger on the hub reads first."""

import json
from pathlib import Path

from activation_oracles.oracle.card import Card

TEXT = """---
library_name: peft
base_model: {model}
tags:
- activation-oracle
- lora
---
# Activation oracle for {model}

A LoRA adapter that lets {model} answer questions about activation vectors.

| | |
|---|---|
| trained at layers | {layers} |
| vectors are written | after block {block}, {mode}, strength {strength:g} |
| placeholder | `{placeholder}` |

```python
from activation_oracles import Oracle, Target

oracle = Oracle.from_pretrained("this folder or hub id")
reading = Target(oracle.model).read("A text.", layers={first}, positions="all")
print(oracle.ask(reading, "What is this about?").text)
```

An oracle always answers, also where the vectors hold nothing: ask with controls, and read the
warnings. Scores when it was made:

```json
{scores}
```
"""


def write_readme(card: Card, folder: Path) -> None:
    """Write `README.md` from the card."""
    text = TEXT.format(
        model=card.model,
        layers=", ".join(str(one) for one in card.layers),
        block=card.block,
        mode=card.mode,
        strength=card.strength,
        placeholder=card.placeholder,
        first=card.layers[0][0],
        scores=json.dumps(card.scores, indent=2),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
