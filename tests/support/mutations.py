"""Damaged copies of a file: what disks, downloads and ill will do to bytes."""

from __future__ import annotations

import copy
import json
import random
import struct
from typing import Any

HOSTILE_NUMBERS = [0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
HOSTILE_JSON: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, -0.5, float("nan"), "", "x" * 999, "\ud800",
    "../../etc/passwd", [], [[]], {}, {"a": 1}, [0] * 50,
]  # fmt: skip


def damaged_bytes(content: bytes, chance: random.Random, header: int = 0) -> bytes:
    """One to three random damages; half of them within the first ``header`` bytes, if given."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        end = min(header, len(data)) if header and chance.random() < 0.5 else len(data)
        place = chance.randrange(max(1, end))
        _DAMAGES[chance.randrange(len(_DAMAGES))](data, place, chance)
    return bytes(data)


def damaged_json(text: str, chance: random.Random) -> str:
    """The document with one to three values replaced, removed or repeated."""
    document = json.loads(text)
    for _ in range(chance.randint(1, 3)):
        _damage_value(document, chance)
    return json.dumps(document, ensure_ascii=True)


def _flip(data: bytearray, place: int, chance: random.Random) -> None:
    if data:
        data[place % len(data)] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, place: int, chance: random.Random) -> None:
    data[place : place + 8] = chance.randbytes(chance.randint(1, 8))


def _number(data: bytearray, place: int, chance: random.Random) -> None:
    number = chance.choice(HOSTILE_NUMBERS)
    wide = chance.random() < 0.5
    packed = struct.pack("<Q", number) if wide else struct.pack("<I", number & 0xFFFFFFFF)
    data[place : place + len(packed)] = packed


def _cut(data: bytearray, place: int, chance: random.Random) -> None:
    del data[place:]


def _remove(data: bytearray, place: int, chance: random.Random) -> None:
    del data[place : place + chance.randint(1, 64)]


def _insert(data: bytearray, place: int, chance: random.Random) -> None:
    data[place:place] = chance.randbytes(chance.randint(1, 64))


def _repeat(data: bytearray, place: int, chance: random.Random) -> None:
    data[place:place] = data[place : place + chance.randint(1, 256)]


_DAMAGES = [_flip, _overwrite, _number, _cut, _remove, _insert, _repeat]


def _damage_value(document: Any, chance: random.Random) -> None:
    """Walk down at random, and change one entry of the container where the walk ends."""
    here = document
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(here[key], dict | list) and here[key] and chance.random() < 0.8:
            here = here[key]
            continue
        kind = chance.random()
        if kind < 0.6:
            here[key] = copy.deepcopy(chance.choice(HOSTILE_JSON))
        elif kind < 0.8:
            del here[key]
        elif isinstance(here, dict):
            here[str(key) + "x"] = copy.deepcopy(here[key])
        else:
            here.append(copy.deepcopy(here[key]))
        return
