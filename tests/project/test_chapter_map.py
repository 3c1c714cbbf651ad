"""The maps of the chapters agree with the chapters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LEANINGS = yaml.safe_load((ROOT / "book" / "chapter_map.yml").read_text(encoding="utf-8"))
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def opening(path: Path) -> str:
    """The text before a chapter's first code cell."""
    texts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            break
        texts.append("".join(cell["source"]))
    return "\n".join(texts)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem[:2])
def test_every_chapter_is_on_the_map(path):
    assert path.stem[:2] in LEANINGS


@pytest.mark.parametrize("number", LEANINGS)
def test_a_chapter_leans_on_earlier_ones_only(number):
    on = [other for others in LEANINGS[number].values() for other in others]
    assert set(LEANINGS[number]) <= {"needs", "helps"}
    assert all(other < number and other in LEANINGS for other in on)
    assert len(set(on)) == len(on)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem[:2])
def test_a_chapter_names_at_its_beginning_what_it_needs(path):
    text = opening(path)
    for other in LEANINGS[path.stem[:2]].get("needs", []):
        named = rf"{other}_\w+\.ipynb|chapters? [\d, and]*\b{int(other)}\b"
        found = re.search(named, text, re.IGNORECASE)
        assert found, f"{path.name} does not say that it needs chapter {other}"
