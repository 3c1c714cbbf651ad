"""Make a student copy of a chapter: assignments/NN_name.ipynb.

    python scripts/make_assignment.py 07

Outputs and solutions are left out. Statements, stubs, graders and hints stay: a student
should get feedback while working. A first cell says how to work and how to hand in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat

from plain_markdown import plain_markdown, read_bibliography
from run_notebooks import KERNEL, LANGUAGE, find_chapters, write_atomically

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "assignments"
INSTRUCTIONS = """\
**Name:**

This is a copy of a chapter of *Language Models: from First Principles to the Economy* to work
in. Run it from the top. At each exercise, fill in the function and run its cell: `grade` says
what is right, or names the mistake; the `hint` cell helps, a little more each time. Keep the
names of the functions and the `grade` lines, save, and hand in this file.

*For the teacher:* `python -m llmbook grade {name} --json` grades it.
"""


def student_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the cells of a chapter without solutions and outputs."""
    bibliography = read_bibliography()
    cells = []
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
        else:
            cell.source = plain_markdown(cell.source, bibliography)
        cells.append(cell)
    return cells


def make_assignment(chapter: Path, folder: Path = OUT) -> Path:
    """Write the student copy of one chapter and return its path."""
    notebook = nbformat.read(chapter, as_version=4)
    text = INSTRUCTIONS.format(name=chapter.name)
    first = nbformat.v4.new_markdown_cell(text, id="how-to-hand-in")
    notebook.cells = [first, *student_cells(notebook)]
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    folder.mkdir(exist_ok=True)
    out = folder / chapter.name
    write_atomically(out, nbformat.writes(notebook, indent=1))
    return out


def main() -> int:
    """Make the copies of the chapters named on the command line."""
    if len(sys.argv) < 2:
        sys.exit("Say which chapter: make assignment NB=07")
    for chapter in find_chapters(sys.argv[1:]):
        out = make_assignment(chapter)
        print(f"{out.relative_to(ROOT)} (grade a hand-in: .venv/bin/python -m llmbook grade FILE)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
