"""Austen's six novels from Debian's `r-cran-janeaustenr`, one document per chapter.

R keeps the package's data in a lazy-load database: `Rdata.rdx` (a gzip-compressed serialised list)
says where in `Rdata.rdb` each novel's compressed character vector lies. The few record types that
occur are read here, so that the build needs no R and no reader of R's format.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from .common import BuildError, Draft, tidy

SOURCE = "austen"
NOVELS = {
    "emma": ("Emma", 55),
    "mansfieldpark": ("Mansfield Park", 48),
    "northangerabbey": ("Northanger Abbey", 31),
    "persuasion": ("Persuasion", 24),
    "prideprejudice": ("Pride and Prejudice", 61),
    "sensesensibility": ("Sense and Sensibility", 50),
}
DATA_FOLDER = "usr/lib/R/site-library/janeaustenr/data"

_CHAPTER = re.compile(r"^chapter\s+([ivxlc]+|\d+)\s*$", re.IGNORECASE)
_VOLUME = re.compile(r"^volume\s+([ivx]+)\s*$", re.IGNORECASE)
_END = re.compile(r"^(finis|the end|a note on the text|\*vide a letter.*)\s*$", re.IGNORECASE)
_EDITOR = re.compile(r"^\s*\[(End volume|At this point in the first)")


def read(package_root: Path) -> Iterator[Draft]:
    """Yield the chapters of the six novels in order."""
    folder = package_root / DATA_FOLDER
    index = _read_index(gzip.decompress((folder / "Rdata.rdx").read_bytes()))
    database = (folder / "Rdata.rdb").read_bytes()
    for name, (title, n_chapters) in NOVELS.items():
        offset, length = index[name]
        lines = _read_strings(zlib.decompress(database[offset + 4 : offset + length]))
        chapters = list(split_novel(title, lines))
        if len(chapters) != n_chapters:
            raise BuildError(f"{title}: expected {n_chapters} chapters, found {len(chapters)}.")
        yield from chapters


def split_novel(title: str, lines: list[str]) -> Iterator[Draft]:
    """Cut a novel at its chapter headings; drop title page, editor's notes and end matter."""
    volume, heading = "", ""
    body: list[str] = []
    for line in [*lines, "THE END"]:
        found, end = _CHAPTER.match(line), _END.match(line)
        new_volume = _VOLUME.match(line)
        if (found or end or new_volume) and heading:
            name = f"{title}: {volume}Chapter {heading}"
            yield Draft(SOURCE, name, f"Chapter {heading}\n\n{reflow(body)}", name)
            heading, body = "", []
        if new_volume:
            volume = f"Volume {new_volume[1].upper()}, "
        if found:
            heading, body = found[1].upper(), []
        elif not _EDITOR.match(line):
            body.append(line)


def reflow(lines: list[str]) -> str:
    """Join the hard-wrapped lines of each paragraph; keep indented lines (verse, signatures) apart.

    Underscores that mark italics are dropped, as are rows of asterisks.
    """
    paragraphs: list[str] = []
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        rows = [row for row in block.split("\n") if row.strip() and not re.match(r"^[\s*]+$", row)]
        text = ""
        for row in rows:
            separator = "" if not text else "\n" if row.startswith("  ") else " "
            text += separator + row.strip()
        if text:
            paragraphs.append(text)
    return tidy("\n\n".join(paragraphs).replace("_", ""))


def _read_index(raw: bytes) -> dict[str, tuple[int, int]]:
    """Offsets and lengths by name: in R's format the pairs of integers stand before the names."""
    pairs = [
        struct.unpack(">ii", raw[m.end() : m.end() + 8])
        for m in re.finditer(rb"\x00\x00\x00\x0d\x00\x00\x00\x02", raw)
    ]
    names = [
        name.decode()
        for name in re.findall(rb"\x00\x04\x00\x09\x00\x00\x00.([a-z]+)", raw, re.DOTALL)
        if name.decode() in NOVELS
    ]
    if len(pairs) != len(NOVELS) or len(names) != len(NOVELS):
        raise BuildError(f"Rdata.rdx: expected {len(NOVELS)} novels, found {len(names)}.")
    return dict(zip(names, pairs, strict=True))


def _read_strings(raw: bytes) -> list[str]:
    """A serialised character vector: XDR, version 3, native encoding UTF-8."""
    header = b"X\n\x00\x00\x00\x03"
    if not raw.startswith(header):
        raise BuildError("Rdata.rdb: not R's serialisation format 3 (XDR).")
    (name_length,) = struct.unpack(">i", raw[14:18])
    position = 18 + name_length
    kind, count = struct.unpack(">Ii", raw[position : position + 8])
    if kind & 0xFF != 16:  # STRSXP
        raise BuildError(f"Rdata.rdb: expected a character vector (type 16), found {kind & 0xFF}.")
    position += 8
    strings = []
    for _ in range(count):
        (length,) = struct.unpack(">i", raw[position + 4 : position + 8])
        position += 8
        strings.append(raw[position : position + length].decode("utf-8"))
        position += length
    return strings
