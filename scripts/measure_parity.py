"""Largest differences between llmbook and the reference libraries on the same weights, float32.

    python scripts/measure_parity.py --json results/parity.json

For each model: logits, the hidden states after every block, and the gradient of a loss for every
parameter. Prints a table; ``--json`` also writes it, with versions, date and machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from llmbook.config import BERTConfig, GPTConfig, RopeScaling, Seq2SeqConfig
from llmbook.files import write_atomically
from parity.compare import Parity
from parity.families import (
    bert_parity,
    gpt_parity,
    minilm_parity,
    seq2seq_parity,
    smollm2_parity,
)
from parity.references import mixtral_parity, torch_seq2seq_parity

LIMIT = 1e-4
"""Of logits and gradients, and of states that are not larger than 10."""
_LLAMA = GPTConfig(499, 67, 5, 6, 96, n_kv_head=2, d_ff=131, rope_base=500.0)
_SCALED = {
    "linear": RopeScaling("linear", factor=3.0),
    "llama3": RopeScaling("llama3", 8.0, 1.0, 4.0, original_context=31),
}
_GPT2 = GPTConfig.preset("gpt2", vocab_size=499, context_length=67, n_layer=5, n_head=6, d_model=96)
_BERT = BERTConfig(499, 67, 5, 6, 96, d_ff=131)
_SEQ2SEQ = Seq2SeqConfig(499, 67, 3, 6, 96, d_ff=131, n_decoder_layer=5, mlp="silu")


MEASUREMENTS: dict[str, Callable[[], Parity]] = {
    "smollm2": smollm2_parity,
    "minilm": minilm_parity,
    "gpt2": lambda: gpt_parity("GPT-2", _GPT2),
    "llama": lambda: gpt_parity("Llama, 6 query and 2 key heads", _LLAMA),
    "llama-linear": lambda: gpt_parity(
        "Llama, RoPE scaled linearly", _LLAMA.replace(rope_scaling=_SCALED["linear"])
    ),
    "llama-llama3": lambda: gpt_parity(
        "Llama, RoPE scaled as in Llama 3", _LLAMA.replace(rope_scaling=_SCALED["llama3"])
    ),
    "bert": lambda: bert_parity("BERT, pooler", _BERT.replace(mlm_head=False)),
    "bert-mlm": lambda: bert_parity("BERT, masked LM", _BERT.replace(pooler=False)),
    "marian": lambda: seq2seq_parity("Marian encoder–decoder", _SEQ2SEQ),
    "torch-post": lambda: torch_seq2seq_parity(_SEQ2SEQ, norm_first=False),
    "torch-pre": lambda: torch_seq2seq_parity(_SEQ2SEQ, norm_first=True),
    "mixtral": mixtral_parity,
}


_COLUMNS = {
    "logits": "logits",
    "states": "hidden",
    "of up to": "scale",
    "relative": "hidden_relative",
    "gradients": "gradient",
    "of max.": "gradient_scale",
}


def main() -> None:
    """Measure everything, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    import transformers

    rows = [measure() for measure in MEASUREMENTS.values()]
    print(f"{'model':46}" + "".join(f"{column:>10}" for column in _COLUMNS))
    for row in rows:
        values = [getattr(row, field) for field in _COLUMNS.values()]
        cells = ["–" if value is None else f"{value:.1e}" for value in values]
        print(f"{row.model:46}" + "".join(f"{cell:>10}" for cell in cells))
    if arguments.json:
        result = {
            "command": "python scripts/measure_parity.py --json results/parity.json",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
            f"{torch.backends.cpu.get_cpu_capability()}, one thread",
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
            "limit": LIMIT,
            "models": [{k: _round(v) for k, v in asdict(row).items()} for row in rows],
        }
        write_atomically(arguments.json, (json.dumps(result, indent=1) + "\n").encode())


def _round(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
