"""Weights in and out: the book's own, and the Hugging Face hub's layout."""

from llmbook.weights.book import (
    Snapshot,
    book_model_path,
    load_book_model,
    load_checkpoint_series,
)
from llmbook.weights.hub import build_model, export_hf, load_gpt2, load_hub_folder

__all__ = [
    "Snapshot",
    "book_model_path",
    "build_model",
    "export_hf",
    "load_book_model",
    "load_checkpoint_series",
    "load_gpt2",
    "load_hub_folder",
]
