"""Make copies of the chapters for Colab, whose first cell installs the package.

    python scripts/make_colab.py

Colab opens a notebook without the repository around it. The copies in _build/colab are what
the launch buttons open once the site's owner has published them (see the hosting workflow).
They exist only where _config.yml names the repository (repository.url).
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat

from contents import repository
from plain_markdown import plain_markdown, read_bibliography
from run_notebooks import find_chapters, write_atomically

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_build" / "colab"
INSTALL = """\
# Colab brings torch; this adds the book's package and what the chapters need.
%pip install --quiet "llmbook @ git+{url}@{branch}" "transformers>=5" "ipywidgets>=8.1"\
"""


def colab_copy(chapter: Path, url: str, branch: str) -> nbformat.NotebookNode:
    """Return a chapter that runs on Colab."""
    notebook = nbformat.read(chapter, as_version=4)
    bibliography = read_bibliography()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, bibliography)
    source = INSTALL.format(url=url, branch=branch)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(source, id="install"))
    return notebook


def main() -> int:
    """Write every copy, or say that no address is set."""
    url, branch = repository()
    if not url:
        print("No Colab copies: repository.url in _config.yml is empty.")
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    for chapter in find_chapters(sys.argv[1:]):
        copy = colab_copy(chapter, url, branch)
        write_atomically(OUT / chapter.name, nbformat.writes(copy, indent=1))
        print((OUT / chapter.name).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
