"""Loading SmolLM2-135M-Instruct from its 4-bit file: ours against transformers with `gguf_file`.

Both read the same file and end with a model in float32 and a tokenizer. The logits of a sentence
must agree before the times count.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.harness import compare, row, run
from llmbook.weights import load_smollm2
from llmbook.weights.smollm2 import smollm2_path

GOAL = 5.0
SENTENCE = "The capital of France is Paris, and the capital of Italy is"


def measure(rounds: int = 2) -> dict[str, Any]:
    """One row. The file is read once before, so that neither side waits for the disk."""
    import transformers

    smollm2_path().read_bytes()
    loaded: dict[str, Any] = {}

    def ours() -> None:
        loaded["ours"] = load_smollm2()

    def theirs() -> None:
        loaded["theirs"] = load_peer()

    measured = compare(ours, theirs, rounds, warm_up=False)
    difference = logits_difference(loaded["ours"], loaded["theirs"])
    note = f"same file; logits differ by at most {difference:.1e}"
    against = f"transformers {transformers.__version__}, gguf_file"
    work = "loading SmolLM2-135M, model and tokenizer"
    return {"rows": [row(work, against, GOAL, measured, note)]}


def load_peer() -> tuple[Any, Any]:
    """The model and its tokenizer, as transformers reads them from the same file."""
    import transformers

    place = smollm2_path()
    names = {"pretrained_model_name_or_path": str(place.parent), "gguf_file": place.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(**names, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(**names)


@torch.no_grad()
def logits_difference(ours: tuple[Any, Any], theirs: tuple[Any, Any]) -> float:
    """The largest difference between the two models' logits on one sentence.

    Raises:
        AssertionError: other token ids, or logits that differ by more than 1e-3.
    """
    (model, tokenizer), (peer, peer_tokenizer) = ours, theirs
    ids = tokenizer.encode(SENTENCE)
    if ids != peer_tokenizer(SENTENCE)["input_ids"]:
        raise AssertionError("both must read the same token ids")
    batch = torch.tensor([ids])
    difference = float((model.eval()(batch) - peer.eval()(batch).logits).abs().max())
    if difference > 1e-3:
        raise AssertionError(f"the logits differ by {difference}: not the same model")
    return difference


if __name__ == "__main__":
    run("loading", measure)
