"""Reading and writing the Hugging Face library's ``tokenizer.json`` for byte-level BPE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbook.files import read_json, write_atomically
from llmbook.tokenizers.bytes_alphabet import BYTE_TO_CHAR, to_printable
from llmbook.tokenizers.merging import Pair

if TYPE_CHECKING:
    from llmbook.tokenizers.bpe import BPETokenizer

_BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}


def write_tokenizer_json(tokenizer: BPETokenizer, path: str | Path) -> None:
    """Write the tokenizer so that ``tokenizers.Tokenizer.from_file`` gives the same ids."""
    names = [to_printable(tokenizer.token_bytes(i)) for i in range(tokenizer.end_of_text_id)]
    end_of_text = {
        "id": tokenizer.end_of_text_id,
        "content": "<|endoftext|>",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [end_of_text],
        "normalizer": None,
        "pre_tokenizer": _BYTE_LEVEL,
        "post_processor": None,
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {name: i for i, name in enumerate(names)},
            "merges": [[names[left], names[right]] for left, right in tokenizer.merges],
        },
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    write_atomically(path, (text + "\n").encode())


def read_tokenizer_json(path: str | Path) -> list[Pair]:
    """The merges of a byte-level BPE file, as pairs of ids.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: too large, not JSON, not byte-level BPE, or merges and ids that disagree.
    """
    document = read_json(path)
    try:
        return _merges_as_ids(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path} is not a byte-level BPE tokenizer.json as BPETokenizer.save writes it "
            f"({detail[:300]}): copy the file again, or load it with the tokenizers library"
        ) from None


def _merges_as_ids(document: Any) -> list[Pair]:
    model = document["model"]
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"its model is {model['type']!r}")
    vocab = model["vocab"]
    for i, char in enumerate(BYTE_TO_CHAR.values()):
        if vocab.get(char) != i:
            raise ValueError(f"id {i} should be the byte {char!r}")
    merges = []
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        if vocab[left + right] != 256 + rank:
            raise ValueError(f"merge {rank} gives {left + right!r}, whose id is not {256 + rank}")
        merges.append((vocab[left], vocab[right]))
    return merges
