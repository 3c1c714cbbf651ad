"""Collect every message that the package and the chapters' outputs show, for the catalogues.

    python scripts/extract_messages.py            # bring the .po files up to date, compile them
    python scripts/extract_messages.py --compile  # compile only

``package_messages()`` yields them with their catalogue: ``llmbook/components`` for the interactive
components and the package's figures, ``llmbook/grader`` for the grader, and for each chapter
``llmbook/chapter_NN``: its exercises and quiz, its figures' alternative texts, and what its cells
were seen to show when they last ran in another language (labels of figures, words given to
components; see ``translated_outputs.py``).
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo

import catalogues
from llmbook.exercises import core
from llmbook.language import DOMAIN, LOCALE
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


def _everything() -> Iterator[Said]:
    yield from _spoken_by_the_package()
    for path in sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb")):
        if path.name[:2] in core.chapters():
            yield from _exercise_messages(path.name[:2])
        yield from _figure_messages(path)
        yield from _seen_messages(path)


# Catalogues ---------------------------------------------------------------------------------------


def package_messages() -> Iterator[tuple[str, Message]]:
    """Every message with its domain, once, in a steady order.

    One message has one translation: what two chapters say is asked for in a shared catalogue,
    labels of figures with the components' words, all else with the grader's.
    """
    said = list(_everything())
    domains: dict[tuple[str, str], set[str]] = {}
    for one in said:
        domains.setdefault((one.context, one.text), set()).add(one.domain)
    for (context, text), found in domains.items():
        one = next(one for one in said if (one.context, one.text) == (context, text))
        shared = next((domain for domain in SHARED if domain in found), "")
        if len(found) > 1 and not shared:
            shared = COMPONENTS if context else GRADER
        message = Message(text, context=context or None)
        message.locations = [(one.place, 0)]
        yield shared or one.domain, message


def templates() -> dict[str, Catalog]:
    """A catalogue without translations for every domain."""
    made: dict[str, Catalog] = {}
    for domain, message in package_messages():
        made.setdefault(domain, Catalog())[message.id] = message
    return made


def compile_catalogues(name: str) -> bytes:
    """One compiled catalogue (.mo) of the package's messages in a language, fuzzy ones left out.

    Raises:
        ValueError: two catalogues translate one message differently.
    """
    merged = Catalog(locale=name, fuzzy=False, charset="utf-8")
    for path in sorted((catalogues.folder(name) / "llmbook").glob("*.po")):
        for message in catalogues.messages(catalogues.read(path, name)):
            if catalogues.state(message) != "done":
                continue
            known = merged.get(message.id, message.context)
            if known and known.string != message.string:
                raise ValueError(
                    f"{path.name} says {message.string!r} for {message.id!r}, another catalogue "
                    f"{known.string!r}: one message has one translation"
                )
            merged.add(message.id, message.string, context=message.context)
    out = io.BytesIO()
    write_mo(out, merged)
    return out.getvalue()


def compiled(name: str) -> Path:
    """Where the compiled catalogue of a language lies."""
    return LOCALE / name / "LC_MESSAGES" / f"{DOMAIN}.mo"


def write_compiled() -> None:
    """Compile the package's catalogues of every language into the package."""
    for name in catalogues.LANGUAGES:
        path = compiled(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = compile_catalogues(name)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            print(f"{relative(path)}: {len(content):,} bytes")


def main() -> int:
    """Update the package's catalogues, then compile them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--compile", action="store_true", help="compile only")
    if not parser.parse_args().compile:
        from translations import update

        for name in catalogues.LANGUAGES:
            for domain, template in templates().items():
                update(catalogues.folder(name) / f"{domain}.po", template, name)
    write_compiled()
    return 0


if __name__ == "__main__":
    sys.exit(main())
