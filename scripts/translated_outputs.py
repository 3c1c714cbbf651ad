"""A chapter's outputs in another language: what is kept of a run, and when it is out of date.

`make notebooks BOOK_LANG=zh_CN` executes the same cells with `LLMBOOK_LANG=zh_CN`. The notebook is
not touched. What its cells show in that language goes to `book/locale/zh_CN/outputs/NAME.json`:

    {"chapter": NAME, "asked": [[context, message, what was found], …],
     "cells": {id: {"source": SHA-256 of the cell, "outputs": […], "messages": {message: found}}}}

with the cells alone whose outputs differ and whose words were translated. "asked" lists all that
was looked up during the run: labels of figures enter the catalogues from there
(`extract_messages.py`).
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmbook.language import translate
from llmbook.web import assets

ROOT = Path(__file__).resolve().parent.parent
LOCALES = ROOT / "book" / "locale"
ASKED = "application/x-llmbook-asked+json"
HTML = "text/html"
EXERCISE_TAGS = {"exercise", "hint", "solution", "quiz"}
# Runs in the kernel before the first cell: after each cell the messages it looked up are sent as
# one more output, which never reaches a file.
NOTE_MESSAGES = (
    "from IPython import get_ipython as _i; from IPython.display import display as _d; "
    "from llmbook.language import asked as _a; _i().events.register('post_run_cell', "
    f"lambda _: _d({{'{ASKED}': [[*k, v] for k, v in _a().items()]}}, raw=True)); del _i"
)
Notebook = Mapping[str, Any]
Asked = list[list[str]]


def store_path(language: str, chapter: str) -> Path:
    """Where a chapter's outputs in a language are kept."""
    return LOCALES / language / "outputs" / f"{chapter}.json"


def digest(source: str) -> str:
    """The hash by which a cell's source is known."""
    return hashlib.sha256(source.encode("utf-8")).hexdigest()


def collect(chapter: str, english: Notebook, spoken: Notebook) -> dict[str, Any]:
    """What is kept of a run: ``spoken`` is the notebook that was run in the other language."""
    asked: dict[tuple[str, str], str] = {}
    cells = {}
    for before, after in zip(english["cells"], spoken["cells"], strict=True):
        if after["cell_type"] != "code":
            continue
        outputs, found = separate(after["outputs"])
        asked |= {(context, message): text for context, message, text in found}
        used = {message: text for _, message, text in found if text != message}
        if used and outputs != shared(before["outputs"]):
            source = digest("".join(after["source"]))
            cells[after["id"]] = {"source": source, "outputs": outputs, "messages": used}
    rows = [[*key, text] for key, text in asked.items() if any(c.isalpha() for c in key[1])]
    return {"chapter": chapter, "asked": sorted(rows), "cells": cells}


def update(target: Path, english: Notebook, spoken: Notebook) -> dict[str, Any]:
    """The store after a run of all cells, or of some: what the others showed is kept then."""
    ran = {cell["id"] for cell in spoken["cells"]}
    partial = [cell for cell in english["cells"] if cell["id"] in ran]
    made = collect(target.stem, {"cells": partial}, spoken)
    if len(partial) == len(english["cells"]) or not target.exists():
        return made
    old = json.loads(target.read_text(encoding="utf-8"))
    gone = {m for cell in ran & set(old["cells"]) for m in old["cells"][cell]["messages"]}
    asked = {(c, m): found for c, m, found in old["asked"] if m not in gone}
    asked |= {(c, m): found for c, m, found in made["asked"]}
    cells = {key: kept for key, kept in old["cells"].items() if key not in ran} | made["cells"]
    return made | {"asked": sorted([*k, v] for k, v in asked.items()), "cells": cells}


def exercise_cells(notebook: Notebook) -> list[Any]:
    """The cells of a chapter's imports (the first code), exercises and quiz."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [code[0], *(c for c in code[1:] if EXERCISE_TAGS & set(c["metadata"].get("tags", [])))]


def separate(outputs: list[Any]) -> tuple[list[Any], Asked]:
    """The outputs of a cell as the site shares them, and the messages noted beside them."""
    noted = [row for o in outputs for row in o.get("data", {}).get(ASKED, [])]
    return shared([o for o in outputs if ASKED not in o.get("data", {})]), noted


def shared(outputs: list[Any]) -> list[Any]:
    """Outputs without their numbers, and without the scripts that a component inlines.

    The site has its own copy of the scripts, and a number tells how many cells ran before.
    """
    kept = copy.deepcopy(outputs)
    for output in kept:
        if "execution_count" in output:
            output["execution_count"] = None
        data = output.get("data", {})
        if HTML in data:
            data[HTML] = assets.strip_inline("".join(data[HTML]))
    return kept


def as_text(store: Mapping[str, Any]) -> str:
    """The text of a store's file."""
    return json.dumps(store, ensure_ascii=False, indent=1) + "\n"


def out_of_date(store: Mapping[str, Any], notebook: Notebook, language: str) -> Iterator[str]:
    """What speaks against a store: cells that have changed, messages translated otherwise now."""
    sources = {cell["id"]: digest("".join(cell["source"])) for cell in notebook["cells"]}
    for cell, kept in store["cells"].items():
        if sources.get(cell) != kept["source"]:
            yield f"the cell {cell} has changed"
    for context, message, found in store["asked"]:
        now = translate(message, context, to=language)
        if now != found:
            yield f"{message!r} was {found!r}, and is {now!r} now"
