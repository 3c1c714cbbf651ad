"""The corpus that ships with the book: four sources, split by document into train and held-out."""

from __future__ import annotations

import hashlib
import json
import lzma
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmbook.files import read_json

SOURCES = ("shakespeare", "austen", "wikipedia", "bible")
SPLITS = ("train", "heldout")
CORPUS_FOLDER = Path(__file__).parent.parent / "assets" / "corpus"
MAX_CORPUS_BYTES = 256 * 1024 * 1024
_REMEDY = "restore the folder from the repository (git checkout), or run scripts/build_corpus.py"


@dataclass(frozen=True)
class Document:
    """A scene, a sonnet, a chapter or an encyclopedia article's lead, as plain text."""

    source: str
    title: str
    text: str

    @property
    def n_bytes(self) -> int:
        """Length in UTF-8 bytes: what bits per byte are counted against."""
        return len(self.text.encode())


def load_corpus(
    split: str = "train", source: str | None = None, *, folder: str | Path = CORPUS_FOLDER
) -> list[Document]:
    """The documents of one side of the split, in the order of the file.

    The split is by document: nothing that overlaps a held-out document is in the training
    text (`split_rule` and `grouping_rule` in the manifest say how that was decided).

    Args:
        split: ``train`` or ``heldout``.
        source: one of `SOURCES`; all four without it.
        folder: where ``manifest.json`` and the corpus file lie.

    Raises:
        ValueError: an unknown split or source; or a file that is damaged, cut short or does
            not have the SHA-256 that the manifest gives.
        FileNotFoundError: the folder lacks a file.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: choose one of {', '.join(SPLITS)}")
    if source is not None and source not in SOURCES:
        raise ValueError(f"source={source!r}: choose one of {', '.join(SOURCES)}, or None for all")
    documents = _read(str(folder))[split]
    return [d for d in documents if source is None or d.source == source]


def corpus_manifest(folder: str | Path = CORPUS_FOLDER) -> dict[str, Any]:
    """Hashes, licences, notices and counts of the corpus, as ``manifest.json`` holds them.

    Raises:
        ValueError: not the manifest of a corpus.
        FileNotFoundError: there is none.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {_REMEDY}")
    manifest = read_json(path)
    if not isinstance(manifest.get("file"), str) or not isinstance(manifest.get("sha256"), str):
        raise ValueError(f"{path} does not name the corpus file and its sha256: {_REMEDY}")
    return manifest


@lru_cache(maxsize=2)
def _read(folder: str) -> dict[str, list[Document]]:
    manifest = corpus_manifest(folder)
    path = Path(folder) / Path(manifest["file"]).name  # never a file outside the folder
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {_REMEDY}")
    compressed = path.read_bytes()
    found = hashlib.sha256(compressed).hexdigest()
    if found != manifest["sha256"]:
        raise ValueError(
            f"{path} is damaged or cut short (SHA-256 {found[:12]}…, expected "
            f"{manifest['sha256'][:12]}…): {_REMEDY}"
        )
    try:
        return _parse(_decompress(compressed))
    except (lzma.LZMAError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a corpus file ({error}): {_REMEDY}") from None


def _decompress(compressed: bytes) -> bytes:
    decompressor = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    raw = decompressor.decompress(compressed, max_length=MAX_CORPUS_BYTES)
    if not decompressor.eof:
        raise EOFError(f"it is cut short, or unpacks to more than {MAX_CORPUS_BYTES:,} bytes")
    return raw


def _parse(raw: bytes) -> dict[str, list[Document]]:
    documents: dict[str, list[Document]] = {split: [] for split in SPLITS}
    for line in raw.decode("utf-8").split("\n"):
        if line:
            fields = json.loads(line)
            document = Document(fields["source"], fields["title"], fields["text"])
            documents[fields["split"]].append(document)
    return documents
