"""Each term of the glossary leads to the one place in the book that defines it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Terms that the front pages use and a planned chapter will define, by that chapter's number.
PLANNED = {
    "base model": 21,
    "beam search": 14,
    "chain of thought": 23,
    "deep learning": 32,
    "divergence": 16,
    "evaluation": 24,
    "fine-tuning": 18,
    "gradient accumulation": 16,
    "hyperparameter": 15,
    "inference": 30,
    "instruction tuning": 21,
    "lora": 20,
    "loss spike": 16,
    "machine translation": 19,
    "model card": 24,
    "natural language processing": 18,
    "quantisation": 17,
    "scaling law": 15,
    "shift invariance": 34,
    "throughput": 16,
    "zero-shot": 21,
}


def glossary_entries() -> list[list[str]]:
    """The terms of each entry, in lower case; the last line of terms is Chinese."""
    text = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
    body = text.split("```{glossary}")[1].split("```")[0]
    found = []
    for block in re.split(r"\n\s*\n", body):
        lines = [line for line in block.splitlines() if line and not line.startswith((":", " "))]
        if lines:
            found.append([line.lower() for line in lines])
    return found


def defined_terms() -> list[str]:
    """The targets of every {dfn} in the chapters, in lower case."""
    targets = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                for words in re.findall(r"\{dfn\}`([^`]+)`", "".join(cell["source"])):
                    named = re.search(r"<([^>]+)>$", words)
                    targets.append(" ".join((named[1] if named else words).lower().split()))
    return targets


def test_no_term_is_defined_twice():
    twice = [term for term, n in Counter(defined_terms()).items() if n > 1]
    assert not twice


def test_every_definition_has_an_entry():
    terms = {term for entry in glossary_entries() for term in entry}
    assert set(defined_terms()) <= terms


def test_every_entry_is_defined_in_a_chapter_or_waits_for_one():
    defined = set(defined_terms())
    undefined = {entry[0] for entry in glossary_entries() if not defined & set(entry)}
    assert undefined == set(PLANNED)


def test_the_chapters_that_terms_wait_for_do_not_exist_yet():
    numbers = {int(path.name[:2]) for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    late = {term: number for term, number in PLANNED.items() if number in numbers}
    assert not late, f"these chapters exist and must define their terms: {late}"
