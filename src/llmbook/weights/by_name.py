"""Any decoder that can be named on a command line."""

from __future__ import annotations

from pathlib import Path

from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights.book import load_book_model
from llmbook.weights.hub import find_folder, load_hub_folder
from llmbook.weights.llama import load_gguf
from llmbook.weights.smollm2 import load_smollm2


def load_named(name: str) -> tuple[GPT, BPETokenizer]:
    """A model and its tokenizer: ``book``, ``smollm2``, a .gguf file, a folder, or a hub's name.

    Raises:
        FileNotFoundError: no such file or folder, or SmolLM2's package is not installed.
        ValueError: not readable, or without a tokenizer.
        ConnectionError: a hub name, and no way to reach the hub.
    """
    if name == "book":
        return load_book_model()
    if name == "smollm2":
        return load_smollm2()
    if Path(name).is_file():
        return load_gguf(name)
    model, tokenizer = load_hub_folder(find_folder(name))
    if tokenizer is None:
        raise ValueError(f"{name} has no tokenizer.json, so text cannot become tokens")
    return model, tokenizer
