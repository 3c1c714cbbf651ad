"""The book's texts and tables, and the batches that training draws from them."""

from llmbook.datasets.batches import TokenBatches
from llmbook.datasets.corpus import SOURCES, Document, corpus_manifest, load_corpus
from llmbook.datasets.tables import load_table
from llmbook.datasets.tokens import load_tokens, tokenize_documents

__all__ = [
    "SOURCES",
    "Document",
    "TokenBatches",
    "corpus_manifest",
    "load_corpus",
    "load_table",
    "load_tokens",
    "tokenize_documents",
]
