"""What 8 and 4 bits cost: loss on held-out text, of the book's model and of SmolLM2.

    python scripts/measure_quantisation.py       # writes results/quantisation.json; minutes

The book's model is measured on held-out documents of every source, paired with itself in floats
document by document. SmolLM2 reads fixed text: the first tokens of each source's first held-out
documents. Its float form is what its 4-bit file stands for, so the blocks as they are cost
nothing but what the 8-bit output layer does.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from evaluate_baselines import provenance
from llmbook.evaluate import document_nats, heldout_documents, paired_bootstrap, per_source
from llmbook.files import write_atomically
from llmbook.models import GPT
from llmbook.quantize import QuantisedLinear, load_gguf_quantised, n_bytes, quantize
from llmbook.weights import load_book_model, load_smollm2
from llmbook.weights.smollm2 import smollm2_path
from train_book_model import RESULTS

FORMS: dict[str, dict[str, int]] = {
    "int8 per output channel": {"bits": 8},
    "int4, groups of 32": {"bits": 4, "group_size": 32},
    "int4, groups of 64": {"bits": 4, "group_size": 64},
}
SHARE = 4
"""Every so many documents of each source are read."""
TOKENS = 256


def main() -> int:
    """Measure both models and write the record."""
    result = {
        **provenance(),
        "command": "python scripts/measure_quantisation.py",
        "interval": "95 %, percentile, resamples of documents, paired",
        "book_model": book_model(),
        "smollm2": smollm2(),
    }
    text = json.dumps(result, indent=1) + "\n"
    write_atomically(RESULTS / "quantisation.json", text.encode())
    print(text)
    return 0


def book_model() -> dict[str, Any]:
    """Bits per byte in floats, and how many more each form needs."""
    model, tokenizer = load_book_model()
    documents = heldout_documents()[::SHARE]
    size = np.array([d.n_bytes for d in documents], dtype=float)
    floats = document_nats(model, documents, tokenizer) / math.log(2)
    result: dict[str, Any] = {
        "documents": f"every {SHARE}th held out: {len(documents)}, {int(size.sum())} bytes",
        "float32": {
            "bytes": n_bytes(model),
            "bits_per_byte": per_source(documents, lambda m: round(_ratio(floats[m], size[m]), 4)),
        },
    }
    for name, settings in FORMS.items():
        small = quantize(copy.deepcopy(model), **settings)
        bits = document_nats(_in_floats(small), documents, tokenizer) / math.log(2)
        result[name] = {
            "bytes": n_bytes(small),
            "more_bits_per_byte": per_source(documents, partial(_interval, bits, floats, size)),
        }
    return result


def smollm2() -> dict[str, Any]:
    """Loss in nats per token on a fixed text, in floats and in each form."""
    model, tokenizer = load_smollm2()
    chosen: dict[str, str] = {}
    for document in heldout_documents():
        chosen[document.source] = chosen.get(document.source, "") + document.text[:2000] + "\n"
    texts = [tokenizer.encode(text[:4000])[: TOKENS + 1] for text in chosen.values()]
    ids = torch.tensor([text for text in texts if len(text) == TOKENS + 1])
    result: dict[str, Any] = {
        "text": f"{len(ids)} × {TOKENS} tokens, one row for each source of the held-out text",
        "file's numbers in float32": {"bytes": n_bytes(model), "loss": _loss(model, ids)},
    }
    floats = result["file's numbers in float32"]["loss"]
    as_they_are = "Q4_1 blocks as they are, output int8"
    for name in (*FORMS, as_they_are):
        if name == as_they_are:
            small = load_gguf_quantised(smollm2_path())[0]
        else:
            small = quantize(copy.deepcopy(model), **FORMS[name])
        loss = _loss(_in_floats(small), ids)
        result[name] = {
            "bytes": n_bytes(small),
            "loss": loss,
            "more": round(loss - floats, 4),
        }
    return result


@torch.inference_mode()
def _loss(model: GPT, ids: torch.Tensor) -> float:
    logits = model(ids[:, :-1]).transpose(1, 2)
    return round(float(F.cross_entropy(logits, ids[:, 1:])), 4)


def _in_floats(model: GPT) -> GPT:
    """The same numbers dequantised once, not at every call."""
    plain = copy.deepcopy(model)
    table = {n: m.dequantise() for n, m in plain.named_modules() if isinstance(m, QuantisedLinear)}
    floats = GPT(model.config).eval().requires_grad_(False)
    state = {k: v for k, v in model.state_dict().items() if k in floats.state_dict()}
    state |= {f"{name}.weight": weight for name, weight in table.items()}
    floats.load_state_dict(state, strict=False)
    return floats


def _ratio(bits: np.ndarray, size: np.ndarray) -> float:
    return float(bits.sum() / size.sum())


def _interval(
    bits: np.ndarray, floats: np.ndarray, size: np.ndarray, mask: np.ndarray
) -> dict[str, float]:
    interval = paired_bootstrap(bits[mask], floats[mask], size[mask])
    return {key: round(value, 5) for key, value in interval._asdict().items()}


if __name__ == "__main__":
    sys.exit(main())
