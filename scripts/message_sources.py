"""What the package and the chapters say: every message, from the code and the runs that show it.

`extract_messages.py` brings them into the catalogues.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import catalogues
from llmbook.exercises import core
from llmbook.plot.words import masked
from llmbook.web.labels import LABELS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "llmbook"
CHAPTERS = ROOT / "notebooks"
COMPONENTS, GRADER = SHARED = ("llmbook/components", "llmbook/grader")
_TWO_LETTERS = re.compile(r"[^\W\d_]{2}")
_LATIN = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True)
class Said:
    """One message: its catalogue, the English text, its context, and where it stands."""

    domain: str
    text: str
    context: str
    place: str


# Python sources -----------------------------------------------------------------------------------


def calls(path: Path, domain: str) -> Iterator[Said]:
    """The literal messages of ``translate``, ``say`` and ``mark`` in a file, in order.

    A context may be a name that the file sets to a literal, as in ``here = "quiz"``.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("translate", "say", "mark")
    ]
    for node in sorted(found, key=lambda n: (n.lineno, n.col_offset)):
        text, *more = node.args
        if isinstance(text, ast.Constant):
            context = _literal(more[0], names) if more else ""
            yield Said(domain, str(text.value), context, relative(path))


def _literal(node: ast.expr, names: dict[str, ast.expr]) -> str:
    value = names.get(node.id) if isinstance(node, ast.Name) else node
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    raise ValueError(f"line {node.lineno}: the context of a message must be literal")


def relative(path: Path) -> str:
    """A path as the catalogues name it."""
    return path.relative_to(ROOT).as_posix()


def _spoken_by_the_package() -> Iterator[Said]:
    """Labels and words of components and figures, then the grader's sentences."""
    place = relative(PACKAGE / "web" / "labels.py")
    for component, words in LABELS.items():
        for key, text in words.items():
            yield Said(COMPONENTS, text, f"{component}.{key}", place)
    for folder in ("web", "plot"):
        for path in sorted((PACKAGE / folder).glob("*.py")):
            yield from calls(path, COMPONENTS)
    for path in sorted((PACKAGE / "exercises").glob("*.py")):
        if not re.fullmatch(r"ch\d\d", path.stem):
            yield from calls(path, GRADER)


# Chapters -----------------------------------------------------------------------------------------


def exercise_texts(number: str) -> Iterator[str]:
    """What the grader and the quiz of a chapter may show, in the order of the exercises."""
    for exercise in core.chapter_exercises(number):
        yield from exercise.nudges
        yield from (misconception.hint for misconception in exercise.misconceptions)
        yield from (law.sentence for law in exercise.properties)
        yield from (exercise.success, exercise.remark)
        yield from (case.note for case in exercise.all_cases() if case.note)
    for question in core.chapter_quiz(number):
        yield from (question.text, *question.choices, *question.why)


@cache
def constants(source: str) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """The string literals of some code, and its f-strings as patterns."""
    tree = ast.parse(source)
    inside = {id(part) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for part in n.values}
    literals, patterns = set(), []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            literals.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = [str(p.value) if isinstance(p, ast.Constant) else None for p in node.values]
            if _TWO_LETTERS.search("".join(part or "" for part in parts)):
                pattern = "".join("(?s:.+?)" if part is None else re.escape(part) for part in parts)
                patterns.append(re.compile(pattern))
    return frozenset(literals), tuple(patterns)


def _exercise_messages(number: str) -> Iterator[Said]:
    path = PACKAGE / "exercises" / f"ch{number}.py"
    literals, _ = constants(path.read_text(encoding="utf-8"))
    domain = f"llmbook/chapter_{number}"
    yield from calls(path, domain)
    for text in exercise_texts(number):
        if text in literals and _TWO_LETTERS.search(text):
            yield Said(domain, text, "", relative(path))


def _figure_messages(path: Path) -> Iterator[Said]:
    """Alternative texts of a chapter's figures; captions are in the page's own catalogue."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")
        if text:
            yield Said(f"llmbook/chapter_{path.name[:2]}", text, "", relative(path))


def _seen_messages(path: Path) -> Iterator[Said]:
    """What the chapter's cells showed when they ran in another language, numbers masked.

    Of a figure's texts only those count that the code spells out, and names of languages: a token
    that a model chose, or another row of a table, is no label.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join(_python(c) for c in cells if c["cell_type"] == "code")
    literals, patterns = constants(code)
    literals |= language_names()
    for store in sorted(catalogues.LOCALES.glob(f"*/outputs/{path.stem}.json")):
        for context, text, _ in json.loads(store.read_text(encoding="utf-8"))["asked"]:
            if not _LATIN.search(text) or "{0}" in text:
                continue
            if context == "figure" and text not in literals:
                if not any(pattern.fullmatch(text) for pattern in patterns):
                    continue
                text = masked(text)[0]
            yield Said(f"llmbook/chapter_{path.name[:2]}", text, context, relative(path))


@cache
def language_names() -> frozenset[str]:
    """The languages of the parallel sentences: figures take their names from that table."""
    manifest = PACKAGE / "assets" / "parallel" / "manifest.json"
    languages = json.loads(manifest.read_text(encoding="utf-8"))["languages"]
    return frozenset(entry["name"] for entry in languages)


def _python(cell: dict) -> str:
    """A cell's code without IPython's own syntax."""
    lines = "".join(cell["source"]).split("\n")
    return "\n".join("" if line.startswith(("%", "!")) else line for line in lines)


def everything() -> Iterator[Said]:
    yield from _spoken_by_the_package()
    for path in sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb")):
        if path.name[:2] in core.chapters():
            yield from _exercise_messages(path.name[:2])
        yield from _figure_messages(path)
        yield from _seen_messages(path)
