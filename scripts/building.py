"""What the scripts that build shipped data share: fetching a package, writing, comparing."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


class BuildError(Exception):
    """The data cannot be built here; the message says why."""


def fetch(command: Sequence[str], path: Path, sha256: str) -> Path:
    """Let a package manager download a file, unless it is there, and check its SHA-256.

    Args:
        command: leaves the file in the folder in which it is run.
        path: where the file is wanted.
        sha256: of the file, in hexadecimal digits.

    Raises:
        BuildError: the command failed, or the file is another one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        done = subprocess.run(
            command, cwd=path.parent, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode or not path.exists():
            raise BuildError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise BuildError(f"{path} has SHA-256 {found}, expected {sha256}: delete the file")
    return path


def command_line(doc: str | None, build: Callable[[Path], dict[str, bytes]], folder: Path) -> int:
    """The command line of a builder; returns the exit status.

    Args:
        doc: the script's docstring, whose first line is its help.
        build: the folder of downloads → the files to commit, by name.
        folder: where they are committed.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--downloads", type=Path, help="keep the package here between runs")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        files = build(arguments.downloads or Path(scratch))
    if arguments.check:
        different = [n for n, content in files.items() if (folder / n).read_bytes() != content]
        print(f"differs: {', '.join(different)}" if different else "identical")
        return 1 if different else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
    return 0
