"""Documents as one array of token ids, kept on disk so that a text is encoded only once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llmbook.datasets.corpus import CORPUS_FOLDER, Document, corpus_manifest, load_corpus
from llmbook.files import write_atomically

_DIGEST_BYTES = 32


@runtime_checkable  # for the checks of types under pytest
class Tokenizer(Protocol):
    """What is asked of a tokenizer here; `llmbook.tokenizers.BPETokenizer` has it."""

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...

    def save(self, path: str | Path) -> None: ...


def load_tokens(
    split: str, tokenizer: Tokenizer, source: str | None = None, *, folder: str | Path | None = None
) -> NDArray[np.uint16]:
    """The ids of one side of the corpus in one array, each document followed by end-of-text.

    The result is kept in `cache_folder()`, under a name made from the hashes of the corpus
    and of the tokenizer; a damaged file there is made anew.

    Args:
        split, source: as in `load_corpus`.
        tokenizer: at most 65,536 tokens, so that an id fits into 16 bits.
        folder: another corpus than the shipped one.

    Raises:
        ValueError: a tokenizer that is too large or has no ``end_of_text_id``; and whatever
            `load_corpus` refuses.
    """
    folder = CORPUS_FOLDER if folder is None else folder
    documents = load_corpus(split, source, folder=folder)
    _check_size(tokenizer)
    parts = [corpus_manifest(folder)["sha256"], _fingerprint(tokenizer), split, source or "all"]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    path = cache_folder() / f"tokens-{key[:32]}.bin"
    cached = _read_cache(path)
    if cached is not None:
        return cached
    tokens, _ = tokenize_documents(documents, tokenizer)
    # A full or read-only disk costs time at the next call, not the result.
    with contextlib.suppress(OSError):
        write_atomically(path, hashlib.sha256(tokens.tobytes()).digest() + tokens.tobytes())
    return tokens


def tokenize_documents(
    documents: Sequence[Document], tokenizer: Tokenizer
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Ids of documents, each followed by end-of-text, and the position where each one starts.

    Returns:
        The ids (n_tokens,) and the starts (n_documents + 1,); document i is
        ``ids[starts[i]:starts[i + 1]]``, its end-of-text included.
    """
    _check_size(tokenizer)
    end = end_of_text_id(tokenizer)
    pieces = [np.array([*tokenizer.encode(d.text), end], dtype=np.uint16) for d in documents]
    starts = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
    return np.concatenate([np.zeros(0, np.uint16), *pieces]), starts


def cache_folder() -> Path:
    """Where derived files are kept: ``LLMBOOK_CACHE_DIR``, or the system's place for caches."""
    named = os.environ.get("LLMBOOK_CACHE_DIR")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "llmbook"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/llmbook"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmbook"


def end_of_text_id(tokenizer: Tokenizer) -> int:
    """The id that stands between documents.

    Raises:
        ValueError: the tokenizer has none.
    """
    found = getattr(tokenizer, "end_of_text_id", None)
    if found is None:
        raise ValueError(
            f"{type(tokenizer).__name__} has no end_of_text_id to put between documents: use "
            "BPETokenizer, or encode the documents of load_corpus yourself"
        )
    return int(found)


def _check_size(tokenizer: Tokenizer) -> None:
    if tokenizer.vocab_size > 2**16:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size:,} tokens, but ids are stored in 16 bits: "
            "train one with at most 65,536"
        )


def _fingerprint(tokenizer: Tokenizer) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_cache(path: Path) -> NDArray[np.uint16] | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if len(body) % 2 or hashlib.sha256(body).digest() != digest:
        return None
    return np.frombuffer(body, dtype=np.uint16).copy()
