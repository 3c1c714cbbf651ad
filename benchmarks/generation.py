"""Greedy generation with the shipped model: ours against transformers, same weights and tokens."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.harness import compare, run
from llmbook.generate import generate
from llmbook.weights import book_model_path, load_book_model

NEW_TOKENS = 128


def measure() -> dict[str, Any]:
    """128 tokens, batch 1, float32, both with their KV cache."""
    import transformers

    model, tokenizer = load_book_model()
    peer = transformers.AutoModelForCausalLM.from_pretrained(book_model_path()).eval()
    ids = torch.tensor([tokenizer.encode("The world is a beautiful place")])

    def ours() -> torch.Tensor:
        return generate(model, ids, max_new_tokens=NEW_TOKENS, temperature=0)

    def theirs() -> torch.Tensor:
        length = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
        return peer.generate(ids, do_sample=False, pad_token_id=tokenizer.end_of_text_id, **length)

    if ours()[0].tolist() != theirs()[0].tolist():
        raise AssertionError("both must write the same tokens, or the times mean nothing")
    return {
        "work": f"{NEW_TOKENS} greedy tokens, batch 1, float32, book model",
        "peer_version": f"transformers {transformers.__version__}",
        "tokens": "identical",
        **compare(ours, theirs),
    }


if __name__ == "__main__":
    run("generation", measure)
