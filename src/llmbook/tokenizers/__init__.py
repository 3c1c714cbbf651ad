"""From text to token ids and back."""

from llmbook.tokenizers.bpe import END_OF_TEXT, WORD_PATTERN, BPETokenizer
from llmbook.tokenizers.char import CharTokenizer
from llmbook.tokenizers.wordpiece import Encoded, WordPieceTokenizer

__all__ = [
    "END_OF_TEXT",
    "WORD_PATTERN",
    "BPETokenizer",
    "CharTokenizer",
    "Encoded",
    "WordPieceTokenizer",
]
