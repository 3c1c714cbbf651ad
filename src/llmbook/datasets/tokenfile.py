"""Token files: ids on disk, mapped into memory page by page, so that they may be larger than it.

64 bytes of header, then the ids: the letters ``LLMTOK01``, bytes per id (2 or 4), 4 bytes of
zeros, the number of ids (8), the SHA-256 of the ids (32), 8 bytes of zeros; little-endian.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from llmbook.files import replacing

_HEADER = struct.Struct("<8sI4xQ32s8x")
_MAGIC = b"LLMTOK01"
_CHUNK = 1 << 20


def write_token_file(
    path: str | Path, pieces: Iterable[Sequence[int] | np.ndarray], vocab_size: int
) -> int:
    """Write ids piece by piece; the file appears under its name when it is complete.

    Args:
        pieces: documents' ids, or any other portions; one is in memory at a time.
        vocab_size: up to 65,536 an id takes 2 bytes, above that 4.

    Returns:
        The number of ids written.

    Raises:
        ValueError: an id outside the vocabulary.
        OSError: the disk is full or read-only; a file that stood there before still does.
    """
    dtype = np.dtype("<u2" if vocab_size <= 2**16 else "<u4")
    digest, count = hashlib.sha256(), 0
    with replacing(path) as file:
        file.write(bytes(_HEADER.size))
        for piece in pieces:
            ids = np.asarray(piece, dtype=np.int64)
            if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
                raise ValueError(
                    f"ids from {ids.min()} to {ids.max()} do not fit vocab_size={vocab_size}"
                )
            content = ids.astype(dtype).tobytes()
            digest.update(content)
            file.write(content)
            count += ids.size
        file.seek(0)
        file.write(_HEADER.pack(_MAGIC, dtype.itemsize, count, digest.digest()))
    return count


def open_token_file(path: str | Path, verify: bool = False) -> np.ndarray:
    """The ids of a token file as an array (n_tokens,) that is read from disk where it is used.

    Args:
        verify: read the whole file once and compare its hash.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another format, cut short, or (with ``verify``) damaged.
    """
    path = Path(path)
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_MAGIC):
            raise ValueError(f"{path} is not a token file: write one with write_token_file")
        _, width, count, digest = _HEADER.unpack(header)
        size = path.stat().st_size
        if width not in (2, 4) or size != _HEADER.size + width * count:
            raise ValueError(
                f"{path} has {size:,} bytes, but its header speaks of {count:,} ids of {width} "
                "bytes: it is cut short or damaged, so write or copy it again"
            )
        if verify:
            found = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                found.update(chunk)
            if found.digest() != digest:
                raise ValueError(f"{path} is damaged (its hash differs): write or copy it again")
    if count == 0:
        return np.zeros(0, f"<u{width}")
    return np.memmap(path, dtype=f"<u{width}", mode="r", offset=_HEADER.size, shape=(count,))
