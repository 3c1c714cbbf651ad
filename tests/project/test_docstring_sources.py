"""A paper that a docstring names can be looked up in the bibliography."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path

import pytest

from plain_markdown import read_bibliography

ROOT = Path(__file__).resolve().parents[2]
NAME = r"[A-Z][a-zà-ÿ][^\W\d_]*(?:-[A-Z][^\W\d_]+)?"
# "Wu et al. 2016", "Press and Wolf 2017", "Ackley, Hinton and Sejnowski 1985", "Thompson 1968";
# a line may end between the words. "Schema 2020-12" is a version.
PAPER = re.compile(
    rf"({NAME})(?:\s+et\s+al\.|(?:,\s+{NAME})*\s+and\s+{NAME})?,?\s+\(?((?:19|20)\d\d)\b(?!-\d)"
)


def papers_in(text: str) -> set[tuple[str, str]]:
    """Return (first author, year) of each paper that the docstrings of a module name."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return {found for node in nodes for found in PAPER.findall(ast.get_docstring(node) or "")}


def as_key(author: str, year: str) -> str:
    """Return how the key of such a paper begins."""
    letters = unicodedata.normalize("NFD", author.lower())
    return re.sub(r"[^a-z]", "", letters) + year


@pytest.mark.parametrize(
    ("line", "papers"),
    [
        ("Source: Wu et al. 2016; Holtzman et\n    al. 2020, eq. 2.", {"Wu2016", "Holtzman2020"}),
        ("(Ackley, Hinton and Sejnowski 1985)", {"Ackley1985"}),
        ("Junczys-Dowmunt et al. (2018)", {"Junczys-Dowmunt2018"}),
        ("at most 2000 tokens; JSON Schema 2020-12", set()),
    ],
)
def test_papers_are_found_as_docstrings_name_them(line, papers):
    assert {author + year for author, year in papers_in(f'"""{line}"""')} == papers


def test_every_paper_that_a_docstring_names_is_in_the_bibliography():
    keys = read_bibliography()
    missing = {
        f"{author} {year}": path.name
        for path in sorted((ROOT / "src" / "llmbook").rglob("*.py"))
        for author, year in papers_in(path.read_text(encoding="utf-8"))
        if not any(key.startswith(as_key(author, year)) for key in keys)
    }
    assert not missing
