"""Reading and writing vocab.txt and the Hugging Face library's ``tokenizer.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbook.files import MAX_JSON_BYTES, read_json, write_atomically

if TYPE_CHECKING:
    from llmbook.tokenizers.wordpiece import WordPieceTokenizer


def read_wordpiece(path: str | Path) -> tuple[list[str], dict[str, Any]]:
    """The pieces of a file in the order of their ids, and what it says on the text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: too large, or not a WordPiece vocabulary.
    """
    path = Path(path)
    if path.suffix == ".txt":
        return _read_lines(path), {}
    document = read_json(path)
    try:
        return _vocab(document), _settings(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path} is not a WordPiece tokenizer.json as BERT has it ({detail[:300]}): copy the "
            "file again, or load it with the tokenizers library"
        ) from None


def write_wordpiece(tokenizer: WordPieceTokenizer, path: str | Path) -> None:
    """Write vocab.txt, or a ``tokenizer.json`` that gives the same ids."""
    path = Path(path)
    if path.suffix == ".txt":
        return write_atomically(path, "".join(f"{p}\n" for p in tokenizer.vocab).encode())
    text = json.dumps(_document(tokenizer), ensure_ascii=False, indent=1)
    return write_atomically(path, (text + "\n").encode())


def _read_lines(path: Path) -> list[str]:
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ValueError(f"{path} has {size:,} bytes; a vocabulary has at most {MAX_JSON_BYTES:,}")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}): copy the file again") from None
    # Not splitlines(), which also cuts at characters that are pieces of the vocabulary.
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _vocab(document: dict[str, Any]) -> list[str]:
    model = document["model"]
    if model.get("type", "WordPiece") != "WordPiece":
        raise ValueError(f"its model is {model['type']!r}")
    fixed = {
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }
    for field, value in fixed.items():
        if model.get(field, value) != value:
            raise ValueError(f"{field} is {model[field]!r}, only {value!r} is supported")
    pieces = {i: piece for piece, i in model["vocab"].items()}
    if sorted(pieces) != list(range(len(model["vocab"]))):
        raise ValueError("its ids are not 0, 1, 2 and so on")
    return [pieces[i] for i in range(len(pieces))]


def _settings(document: dict[str, Any]) -> dict[str, Any]:
    normalizer = document["normalizer"]
    if normalizer["type"] != "BertNormalizer" or not normalizer.get("clean_text", True):
        raise ValueError("its normalizer is not BERT's")
    settings = {
        "lowercase": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "space_chinese": normalizer.get("handle_chinese_chars", True),
    }
    for name, value in settings.items():
        if not isinstance(value, bool) and (name, value) != ("strip_accents", None):
            raise ValueError(f"{name} is {value!r}, neither true nor false")
    return settings


def _document(tokenizer: WordPieceTokenizer) -> dict[str, Any]:
    special = {
        "[CLS]": tokenizer.cls_id,
        "[SEP]": tokenizer.sep_id,
        "[PAD]": tokenizer.pad_id,
        "[UNK]": tokenizer.unk_id,
        "[MASK]": tokenizer.mask_id,
    }
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": token, **flags, "special": True}
            for token, i in sorted(special.items(), key=lambda item: item[1])
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": tokenizer.space_chinese,
            "strip_accents": tokenizer.strip_accents,
            "lowercase": tokenizer.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "BertProcessing",
            "sep": ["[SEP]", tokenizer.sep_id],
            "cls": ["[CLS]", tokenizer.cls_id],
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: i for i, piece in enumerate(tokenizer.vocab)},
        },
    }
