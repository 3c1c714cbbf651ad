"""Citations resolve, shipped scripts ask the network for nothing, modules stay small."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from plain_markdown import author_year, read_bibliography

ROOT = Path(__file__).resolve().parents[2]
CITATION = re.compile(r"\{cite(?::[a-z]+)?\}`([^`]+)`")
# Names of XML namespaces look like addresses and are never fetched.
NAMESPACES = re.compile(r"https?://(?:www\.)?w3\.org/[\w/.#-]*")
OWN_SCRIPTS = sorted(
    path
    for folder in ("src/llmbook/web/js", "src/llmbook/web/css", "book/_static")
    for path in (ROOT / folder).glob("*.*s")
)
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])
# The exercises of a chapter stand in one file, statement beside solution and mistakes.
SMALL = [path for path in MODULES if not re.fullmatch(r"ch\d\d", path.stem)]
MAX_LINES = 300


def cited() -> dict[str, set[str]]:
    """Return the pages that cite each key."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path.name] = "\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
    found: dict[str, set[str]] = {}
    for name, text in texts.items():
        for keys in CITATION.findall(text):
            for key in keys.split(","):
                found.setdefault(key.strip(), set()).add(name)
    return found


def test_every_cited_key_is_in_the_bibliography():
    bibliography = read_bibliography()
    missing = {key: pages for key, pages in cited().items() if key not in bibliography}
    assert not missing


def test_every_reference_can_be_found_by_a_reader():
    for key, entry in read_bibliography().items():
        assert entry.get("doi") or entry.get("eprint") or entry.get("url"), key
        assert re.fullmatch(r"(?:19|20)\d\d", entry.get("year", "")), key
        assert entry.get("title"), key


def test_references_are_named_first_author_year_word():
    for key in read_bibliography():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z0-9]*", key), key


def test_names_of_authors_read_as_plain_text_on_slides():
    bibliography = read_bibliography()
    odd = [author_year(key, bibliography) for key in bibliography]
    assert not [name for name in odd if re.search(r"[\\{}]", name)]


def test_no_key_stands_twice_in_the_bibliography():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{([^,\s]+),", text, re.MULTILINE)
    assert sorted(keys) == sorted(set(keys))


@pytest.mark.parametrize("path", OWN_SCRIPTS, ids=lambda path: path.name)
def test_own_scripts_and_styles_name_no_other_host(path):
    text = NAMESPACES.sub("", path.read_text(encoding="utf-8"))
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[\w/.-]*", text)
    assert "@import" not in text
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|sendBeacon|eval)\s*\(", text)


@pytest.mark.parametrize("path", SMALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_stays_small_enough_to_read(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: split it"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is(path):
    text = path.read_text(encoding="utf-8").lstrip()
    assert not text or text.startswith(('"""', 'r"""')), "a module docstring is missing"


def test_no_source_names_a_place_of_one_machine():
    places = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w")
    for path in [*MODULES, *(ROOT / "book").glob("*.md"), ROOT / "README.md"]:
        assert not places.search(path.read_text(encoding="utf-8")), path
