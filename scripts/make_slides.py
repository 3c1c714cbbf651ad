"""Make a reveal.js deck from each chapter, from the same cells, readable offline.

    python scripts/make_slides.py          # every chapter
    python scripts/make_slides.py 07       # one

A cell is on a slide when its metadata says so (slideshow.slide_type: slide, subslide,
fragment, "-" to continue the slide, notes for the speaker). A cell that says nothing is
for readers only. The decks and what they need lie together in _build/slides.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter

from plain_markdown import plain_markdown, read_bibliography
from run_notebooks import find_chapters

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "slides"
VENDOR = ROOT / "book" / "_static" / "vendor"
TEMPLATE = Path(__file__).resolve().parent / "slides_template"
PARTS = ("reveal", "mathjax", "requirejs", "widgets")


def slide_type(cell: nbformat.NotebookNode) -> str:
    """Return a cell's place in the deck; "skip" where it names none."""
    return cell.metadata.get("slideshow", {}).get("slide_type") or "skip"


def title_of(notebook: nbformat.NotebookNode) -> str:
    """Return the text of the first heading."""
    for cell in notebook.cells:
        match = re.search(r"^#\s+(.+)$", cell.source, re.MULTILINE)
        if cell.cell_type == "markdown" and match:
            return match.group(1).strip()
    return "Slides"


def describe_figures(cell: nbformat.NotebookNode) -> None:
    """Hand a figure's alt text and caption to the template."""
    described = cell.metadata.get("mystnb", {})
    for output in cell.outputs:
        if "metadata" in output:
            output.metadata["alt"] = described.get("image", {}).get("alt", "")
            output.metadata["caption"] = described.get("figure", {}).get("caption", "")


def prepare(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep the cells of the deck and make them readable outside the site."""
    bibliography = read_bibliography()
    notebook.metadata["title"] = title_of(notebook)
    kept = []
    for cell in notebook.cells:
        kind = slide_type(cell)
        if kind == "skip":
            continue
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, bibliography)
        else:
            describe_figures(cell)
            if tags & {"hide-input", "remove-input"}:
                cell.metadata["transient"] = {"remove_source": True}
        kept.append(cell)
    notebook.cells = kept
    return notebook


def copy_parts() -> None:
    """Lay reveal.js, MathJax and the widget manager beside the decks."""
    for part in PARTS:
        shutil.copytree(VENDOR / part, OUT / "vendor" / part, dirs_exist_ok=True)
    shutil.copy(TEMPLATE / "slides.css", OUT / "slides.css")


def make_deck(path: Path) -> tuple[Path, int]:
    """Write the deck of one chapter; return its path and its number of slides."""
    notebook = prepare(nbformat.read(path, as_version=4))
    if not notebook.cells:
        sys.exit(f"{path.name} has no cell with slideshow metadata, so there is no deck to make.")
    exporter = SlidesExporter(
        template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)]
    )
    html, _ = exporter.from_notebook_node(notebook)
    out = OUT / f"{path.stem}.html"
    out.write_text(html, encoding="utf-8")
    slides = sum(slide_type(cell) in {"slide", "subslide"} for cell in notebook.cells)
    return out, slides


def main() -> int:
    """Make the decks of the chapters named on the command line, or of all."""
    chapters = find_chapters(sys.argv[1:])
    if not chapters:
        sys.exit("There is no chapter in notebooks/ yet.")
    OUT.mkdir(parents=True, exist_ok=True)
    copy_parts()
    for path in chapters:
        out, slides = make_deck(path)
        print(f"{out.relative_to(ROOT)}: {slides} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main())
