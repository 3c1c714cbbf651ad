"""Weights in and out: the book's own, and the Hugging Face hub's layout."""

from llmbook.weights.bert import export_bert, load_bert, load_minilm
from llmbook.weights.book import (
    Snapshot,
    book_model_path,
    load_book_model,
    load_checkpoint_series,
)
from llmbook.weights.by_name import load_named
from llmbook.weights.gguf import read_gguf
from llmbook.weights.hub import build_model, export_hf, load_gpt2, load_hub_folder
from llmbook.weights.llama import load_gguf, load_gguf_blocks, load_llama
from llmbook.weights.marian import export_marian, load_marian
from llmbook.weights.packages import load_gpt2_tokenizer
from llmbook.weights.smollm2 import load_smollm2

__all__ = [
    "Snapshot",
    "book_model_path",
    "build_model",
    "export_bert",
    "export_hf",
    "export_marian",
    "load_bert",
    "load_book_model",
    "load_checkpoint_series",
    "load_gguf",
    "load_gguf_blocks",
    "load_gpt2",
    "load_gpt2_tokenizer",
    "load_hub_folder",
    "load_llama",
    "load_marian",
    "load_minilm",
    "load_named",
    "load_smollm2",
    "read_gguf",
]
