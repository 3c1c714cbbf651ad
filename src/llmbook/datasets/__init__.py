"""The book's texts and tables, and the batches that training draws from them."""

from llmbook.datasets.batches import IGNORE, TokenBatches
from llmbook.datasets.corpus import SOURCES, Document, corpus_manifest, load_corpus
from llmbook.datasets.masking import MaskedBatches, mask_tokens
from llmbook.datasets.packing import PackedBatches, packed_mask
from llmbook.datasets.tables import load_table
from llmbook.datasets.tokenfile import open_token_file, write_token_file
from llmbook.datasets.tokens import load_tokens, tokenize_documents

__all__ = [
    "IGNORE",
    "SOURCES",
    "Document",
    "MaskedBatches",
    "PackedBatches",
    "TokenBatches",
    "corpus_manifest",
    "load_corpus",
    "load_table",
    "load_tokens",
    "mask_tokens",
    "open_token_file",
    "packed_mask",
    "tokenize_documents",
    "write_token_file",
]
