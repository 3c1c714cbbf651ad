"""From text to token ids and back."""

from llmbook.tokenizers.bpe import END_OF_TEXT, WORD_PATTERN, BPETokenizer
from llmbook.tokenizers.char import CharTokenizer

__all__ = ["END_OF_TEXT", "WORD_PATTERN", "BPETokenizer", "CharTokenizer"]
