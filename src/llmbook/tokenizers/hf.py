"""Reading and writing byte-level BPE files: ``tokenizer.json``, and GPT-2's own two files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmbook.files import MAX_JSON_BYTES, read_json, write_atomically
from llmbook.tokenizers import pretokenizers
from llmbook.tokenizers.bpe import END_OF_TEXT, BPETokenizer
from llmbook.tokenizers.bytes_alphabet import to_printable

ENDS_OF_TEXT = (END_OF_TEXT, "<|end_of_text|>", "<|im_end|>")
"""The special token between documents is the first of these that a file has."""

_PLAIN_BPE = {
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
}


def write_tokenizer_json(tokenizer: BPETokenizer, path: str | Path) -> None:
    """Write the tokenizer so that ``tokenizers.Tokenizer.from_file`` gives the same ids."""
    special = sorted(tokenizer.special.items(), key=lambda item: item[1])
    names = [to_printable(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)]
    for name, i in special:
        names[i] = name
    n_ordinary = len(names) - len(special)
    at_the_end = all(i >= n_ordinary for _, i in special)  # the library appends them itself
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(name, i) for name, i in special],
        "normalizer": None,
        "pre_tokenizer": pretokenizers.to_json(tokenizer.split),
        "post_processor": None,
        "decoder": pretokenizers.byte_level(),
        "model": {
            "type": "BPE",
            **_PLAIN_BPE,
            "ignore_merges": tokenizer.ignore_merges,
            "vocab": {
                name: i for i, name in enumerate(names[: n_ordinary if at_the_end else None])
            },
            "merges": [[names[left], names[right]] for left, right in tokenizer.merges],
        },
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    write_atomically(path, (text + "\n").encode())


def read_tokenizer_json(path: str | Path) -> BPETokenizer:
    """The tokenizer of a byte-level BPE file of the families in `pretokenizers.PATTERNS`.

    Its ids are those of the library with ``add_special_tokens=False``, and with special
    tokens read as plain text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: too large, not JSON, not byte-level BPE, or merges and ids that disagree.
    """
    document = read_json(path)
    try:
        return _from_document(document)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a byte-level BPE tokenizer.json of GPT-2's, SmolLM2's or Llama 3's "
            f"kind ({_detail(error)}): copy the file again, or load it with the tokenizers library"
        ) from None


def read_gpt2_files(encoder: str | Path, merges: str | Path) -> BPETokenizer:
    """GPT-2's tokenizer from its own ``encoder.json`` and ``vocab.bpe``.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: too large, or not those two files.
    """
    vocab, path = read_json(encoder), Path(merges)
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ValueError(f"{path} has over {MAX_JSON_BYTES:,} bytes")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        pairs = [_pair(line) for line in lines if line and not line.startswith("#version")]
        return BPETokenizer.from_names(_by_id(vocab), pairs, {END_OF_TEXT})
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{encoder} and {path} are not GPT-2's tokenizer ({_detail(error)}): copy them again"
        ) from None


def _detail(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _from_document(document: dict[str, Any]) -> BPETokenizer:
    model = document["model"]
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"its model is {model['type']!r}")
    odd = [k for k, v in _PLAIN_BPE.items() if k != "unk_token" and (model.get(k) or v) != v]
    odd += ["normalizer"] if document.get("normalizer") else []
    if odd:
        raise ValueError(f"it has a {odd[0]}, which byte-level BPE does not use")
    vocab = dict(model["vocab"])
    special = [_special_name(token, vocab) for token in document.get("added_tokens") or ()]
    return BPETokenizer.from_names(
        _by_id(vocab),
        [_pair(merge) for merge in model["merges"]],
        special,
        split=pretokenizers.from_json(document["pre_tokenizer"]),
        end_of_text=next((name for name in ENDS_OF_TEXT if name in special), END_OF_TEXT),
        ignore_merges=bool(model.get("ignore_merges", False)),
    )


def _special_name(token: dict[str, Any], vocab: dict[str, int]) -> str:
    """The name of an added token, which is entered into the vocabulary if need be."""
    name = token["content"]
    if any(token.get(flag) for flag in ("single_word", "lstrip", "rstrip")):
        raise ValueError(f"the special token {name!r} takes in what stands beside it")
    if vocab.setdefault(name, token["id"]) != token["id"]:
        raise ValueError(f"{name!r} has the ids {vocab[name]} and {token['id']}")
    return name


def _by_id(vocab: Mapping[str, int]) -> list[str]:
    """The tokens in the order of their ids, which must be 0, 1, 2 and so on."""
    names = sorted(vocab, key=lambda name: vocab[name])
    for i, name in enumerate(names):
        if type(vocab[name]) is not int or vocab[name] != i:
            raise ValueError(f"token {name!r} has the id {vocab[name]!r} where {i} is due")
    return names


def _pair(merge: Any) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _added_token(name: str, token_id: int) -> dict[str, Any]:
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    return {"id": token_id, "content": name, **dict.fromkeys(flags, False), "special": True}
