"""Reading files that may be damaged or hostile, and writing files that never are half there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open
from torch import Tensor

MAX_JSON_BYTES = 64 * 1024 * 1024


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A new file to write, which takes its name when it is complete, even if power fails.

    The content goes to a file beside the final name, is flushed to the disk, and is renamed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")  # one name: a killed run leaves one at most
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that it is there completely or not at all; see `replacing`."""
    with replacing(path) as file:
        file.write(content)


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is too large, or holds something else.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ValueError(
            f"{path} has {size:,} bytes; a JSON file here has at most {MAX_JSON_BYTES:,}"
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}): copy the file again") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, not a JSON object")
    return value


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, and the texts in its header.

    The format holds numbers only: reading it runs no code, unlike a pickle.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, damaged or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with safe_open(str(path), framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({str(error)[:200]}): it is damaged or "
            "cut short, so copy or download it again"
        ) from None
