"""Reading GGUF files: metadata, and tensors that stay in the file until they are asked for.

The header is read with a bound on everything it claims: counts, lengths, nesting, offsets. The
format holds numbers and text only; nothing in it is run, a chat template least of all.

Source: the GGUF specification, versions 2 and 3, of the ggml project.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmbook.weights.gguf_blocks import KINDS, Q41, Kind

MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_ENTRIES = 65_536
"""Most metadata entries, and most tensors."""
MAX_NESTING = 3
MAX_DIMENSIONS = 4

_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class GGUFTensor:
    """One tensor of a file, its bytes still on the disk.

    ``shape`` is in PyTorch's order, the contiguous axis last (the file has it first);
    ``kind`` is its number format, such as Q4_1; ``raw`` are its bytes.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    raw: np.ndarray

    def dequantize(self) -> Tensor:
        """Its numbers in float32, equal to those of the ``gguf`` package."""
        kind = KINDS[self.kind]
        with np.errstate(invalid="ignore", over="ignore"):  # a file may hold infinities
            numbers = kind.dequantize(np.ascontiguousarray(self.raw).reshape(-1, kind.n_bytes))
        return torch.from_numpy(numbers).view(self.shape)

    @property
    def blocks(self) -> Q41:
        """Its Q4_1 blocks as they are, row by row.

        Raises:
            ValueError: it is stored in another format.
        """
        if self.kind != "Q4_1":
            raise ValueError(f"{self.name} is stored as {self.kind}, not as Q4_1 blocks")
        return Q41.from_bytes(self.raw, n_row=math.prod(self.shape[:-1]))


@dataclass(frozen=True)
class GGUFFile:
    """What a file says about itself, and its tensors by name."""

    metadata: dict[str, Any]
    tensors: dict[str, GGUFTensor]


def read_gguf(path: str | Path) -> GGUFFile:
    """The header of a file; its tensors are mapped into memory, not read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another format, damaged, cut short, or a number format not known here.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
        return _read(data)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{path} is not a readable GGUF file ({str(error)[:300]}): it is damaged or cut "
            "short, so copy or download it again"
        ) from None


class _Header:
    """Reads values one after another, and never past the end or the bound."""

    def __init__(self, data: np.ndarray) -> None:
        self.bytes = memoryview(data[:MAX_HEADER_BYTES])  # type: ignore[arg-type]
        self.at = 0

    def take(self, n: int) -> memoryview:
        end = self.at + n
        if end > len(self.bytes):
            raise ValueError(
                f"its header ends in the middle, or is over {MAX_HEADER_BYTES:,} bytes"
            )
        piece = self.bytes[self.at : end]
        self.at = end
        return piece

    def u32(self) -> int:
        return struct.unpack("<I", self.take(4))[0]

    def u64(self) -> int:
        return struct.unpack("<Q", self.take(8))[0]

    def count(self, what: str, most: int) -> int:
        n = self.u64()
        if n > most:
            raise ValueError(f"it claims {n:,} {what}, and {most:,} are the most")
        return n

    def text(self) -> str:
        return str(self.take(self.u64()), "utf-8")

    def value(self, kind: int, nesting: int = 0) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array(nesting + 1)
        return self._scalars(kind, 1)[0]

    def _array(self, nesting: int) -> list[Any]:
        if nesting > MAX_NESTING:
            raise ValueError(f"its arrays are nested more than {MAX_NESTING} deep")
        kind, left = self.u32(), len(self.bytes) - self.at
        n = self.count("array entries", left)  # each takes a byte at least
        if kind in _SCALARS:
            return self._scalars(kind, n)
        return [self.value(kind, nesting) for _ in range(n)]

    def _scalars(self, kind: int, n: int) -> list[Any]:
        if kind not in _SCALARS:
            raise ValueError(f"a value has the unknown type {kind}")
        dtype = np.dtype(_SCALARS[kind])
        return np.frombuffer(self.take(n * dtype.itemsize), dtype).tolist()


def _read(data: np.ndarray) -> GGUFFile:
    header = _Header(data)
    if header.take(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version = header.u32()
    if version not in (2, 3):
        raise ValueError(f"it has version {version}; versions 2 and 3 are known")
    n_tensor = header.count("tensors", MAX_ENTRIES)
    n_entry = header.count("metadata entries", MAX_ENTRIES)
    metadata = _named(n_entry, header, lambda: header.value(header.u32()))
    infos = _named(n_tensor, header, lambda: _tensor_info(header))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= 65_536 or alignment % 8:
        raise ValueError(f"its alignment is {alignment!r}; it must be a multiple of 8")
    start = -(-header.at // alignment) * alignment
    _check_places(infos, alignment, len(data) - start)
    tensors = {}
    for name, (shape, kind, offset) in infos.items():
        raw = data[start + offset :][: _n_bytes(shape, KINDS[kind])]
        tensors[name] = GGUFTensor(name, shape, kind, raw)
    return GGUFFile(metadata, tensors)


def _named(n: int, header: _Header, read: Callable[[], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(n):
        name = header.text()
        if name in found:
            raise ValueError(f"{name!r} stands in it twice")
        found[name] = read()
    return found


def _tensor_info(header: _Header) -> tuple[tuple[int, ...], str, int]:
    n_dim = header.u32()
    if not 1 <= n_dim <= MAX_DIMENSIONS:
        raise ValueError(f"a tensor has {n_dim} dimensions; 1 to {MAX_DIMENSIONS} are possible")
    shape = tuple(header.u64() for _ in range(n_dim))[::-1]
    number, offset = header.u32(), header.u64()
    kind = next((name for name, kind in KINDS.items() if kind.number == number), None)
    if kind is None:
        raise ValueError(f"a tensor has the number format {number}; known are {[*KINDS]}")
    if 0 in shape or shape[-1] % KINDS[kind].n_number:
        raise ValueError(f"a tensor of shape {shape} cannot be stored as {kind}")
    return shape, kind, offset


def _check_places(
    infos: dict[str, tuple[tuple[int, ...], str, int]], alignment: int, room: int
) -> None:
    """Every tensor lies within the file, aligned, and no two share a byte."""
    end_of_last = 0
    for name, (shape, kind, offset) in sorted(infos.items(), key=lambda item: item[1][2]):
        end = offset + _n_bytes(shape, KINDS[kind])
        if offset % alignment or offset < end_of_last or end > room:
            raise ValueError(
                f"tensor {name!r} takes bytes {offset:,} to {end:,} of {room:,}: misaligned, "
                "beyond the end, or over another tensor"
            )
        end_of_last = end


def _n_bytes(shape: tuple[int, ...], kind: Kind) -> int:
    return math.prod(shape) // kind.n_number * kind.n_bytes
