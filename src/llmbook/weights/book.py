"""The models that ship with the book: the one that writes, and a small one at twelve ages."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from llmbook.files import read_json, read_tensors
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights.hub import build_model, load_hub_folder
from llmbook.weights.hub_config import from_hub_config


class Snapshot(NamedTuple):
    """A model at one moment of its training.

    ``step`` and ``tokens_seen`` count from the run's start; ``loss`` is the validation loss
    then, in nats per token.
    """

    step: int
    tokens_seen: int
    loss: float
    model: GPT


def book_model_path() -> Path:
    """The folder of the book's model, in the hub's layout."""
    return _assets() / "book_model"


def load_book_model() -> tuple[GPT, BPETokenizer]:
    """The model trained in chapter 12 and its tokenizer, ready to use on the CPU.

    The model card beside the weights says what it was trained on and how well it does.

    Raises:
        FileNotFoundError: the package was installed without its data.
    """
    model, tokenizer = load_hub_folder(book_model_path())
    assert tokenizer is not None
    return model, tokenizer


def load_checkpoint_series() -> list[Snapshot]:
    """A small sibling of the book's model, saved about twelve times while it was trained.

    Its tokenizer is the book model's.
    """
    folder = _assets() / "checkpoints"
    index = read_json(folder / "index.json")
    config = from_hub_config(index["config"])
    series = []
    for entry in index["snapshots"]:
        tensors, _ = read_tensors(folder / entry["file"])
        model = build_model(config, tensors, folder / entry["file"])
        series.append(Snapshot(entry["step"], entry["tokens_seen"], entry["val_loss"], model))
    return series


def _assets() -> Path:
    return Path(str(files("llmbook"))) / "assets"
