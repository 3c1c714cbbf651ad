"""The tools behind the make targets, tried on a small chapter."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import contents
import make_assignment
import make_colab
import make_lab_copies
import make_slides
import run_notebooks
from plain_markdown import author_year, plain_markdown, read_bibliography

ROOT = Path(__file__).resolve().parents[2]
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    + "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def slide(kind: str) -> dict:
    return {"slideshow": {"slide_type": kind}}


@pytest.fixture
def chapter(tmp_path) -> Path:
    """A chapter with every kind of cell that the tools treat differently."""
    figure = {
        "image": {"alt": "A line that rises."},
        "figure": {"caption": "It rises.", "name": "fig-03-line"},
    }
    picture = new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})
    cells = [
        new_markdown_cell("# A title & more", id="title", metadata=slide("slide")),
        new_markdown_cell(
            "As {cite}`vaswani2017attention` says.\n\n```{note}\nThe sum is $x$.\n```",
            id="prose",
            metadata=slide("-"),
        ),
        new_code_cell("print(6 * 7)", id="answer", metadata=slide("fragment")),
        new_code_cell("x = 1", id="for-readers-only"),
        new_code_cell(
            "plot()", id="plot", metadata=slide("slide") | {"mystnb": figure}, outputs=[picture]
        ),
        new_code_cell('hint("03.x")', id="hint", metadata={"tags": ["hint"]}),
        new_code_cell('show_solution("03.x")', id="solution", metadata={"tags": ["solution"]}),
    ]
    folder = tmp_path / "notebooks"
    folder.mkdir()
    path = folder / "03_small.ipynb"
    path.write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
    return path


def runnable(folder: Path, *sources: str) -> Path:
    path = folder / "03_run.ipynb"
    cells = [new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    path.write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
    return path


def test_executing_twice_gives_the_same_bytes_and_measures(tmp_path, monkeypatch):
    path = runnable(tmp_path, "import sys\nprint('a')\nprint('b', file=sys.stdout)\n[1, 2]")
    record = run_notebooks.execute(path)
    first = path.read_bytes()
    run_notebooks.execute(path)
    assert path.read_bytes() == first
    assert record["error"] is None
    assert record["peak_mb"] > 10
    (cell,) = nbformat.read(path, as_version=4).cells
    assert (cell.id, cell.execution_count) == ("cell-0", 1)
    assert cell.outputs[0].text == "a\nb\n"
    assert b"timestamp" not in first
    assert b"iopub" not in first


def test_a_failing_cell_is_named_and_the_file_is_left_alone(tmp_path):
    path = runnable(tmp_path, "x = 1", "y = 0\nx / y")
    before = path.read_bytes()
    record = run_notebooks.execute(path)
    assert path.read_bytes() == before
    assert "cell 1 (id cell-1): y = 0" in record["error"]
    assert "ZeroDivisionError: division by zero" in record["error"]


def test_a_chapter_that_does_not_exist_is_answered_with_those_that_do(chapter, monkeypatch):
    monkeypatch.setattr(run_notebooks, "CHAPTERS", chapter.parent)
    assert run_notebooks.find_chapters(["3"]) == [chapter]
    with pytest.raises(SystemExit, match="03_small"):
        run_notebooks.find_chapters(["04"])


@pytest.fixture
def my_folder(tmp_path, chapter, monkeypatch) -> Path:
    """A learner's folder, with the chapter copied once."""
    folder = tmp_path / "my"
    folder.mkdir()
    monkeypatch.setattr(make_lab_copies, "MY", folder)
    return folder


def test_an_untouched_copy_follows_its_chapter(chapter, my_folder):
    memory: dict[str, str] = {}
    assert make_lab_copies.place_copy(chapter, memory, fresh=False) == "copied"
    assert make_lab_copies.place_copy(chapter, memory, fresh=False) == "same"
    chapter.write_text(chapter.read_text().replace("6 * 7", "7 * 6"))
    assert make_lab_copies.place_copy(chapter, memory, fresh=False) == "copied"
    assert "7 * 6" in (my_folder / chapter.name).read_text()


def test_a_learners_work_is_never_overwritten(chapter, my_folder, capsys):
    memory: dict[str, str] = {}
    make_lab_copies.place_copy(chapter, memory, fresh=False)
    copy = my_folder / chapter.name
    copy.write_text("my work")
    assert make_lab_copies.place_copy(chapter, memory, fresh=False) == "kept"
    assert copy.read_text() == "my work"
    assert make_lab_copies.place_copy(chapter, memory, fresh=True) == "copied"
    (kept,) = (my_folder / "old").iterdir()
    assert kept.read_text() == "my work"
    assert kept.name in capsys.readouterr().out


def test_a_copy_of_unknown_origin_is_kept_too(chapter, my_folder):
    (my_folder / chapter.name).write_text("made before the memory existed")
    assert make_lab_copies.place_copy(chapter, {}, fresh=False) == "kept"


def test_an_assignment_has_no_output_and_no_solution(chapter, tmp_path):
    path = make_assignment.make_assignment(chapter, tmp_path / "assignments")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert ids[0] == "how-to-hand-in"
    assert "solution" not in ids
    assert "hint" in ids
    assert "python -m llmbook grade 03_small.ipynb --json" in notebook.cells[0].source
    assert not [cell for cell in notebook.cells if cell.get("outputs")]
    assert all(cell.execution_count is None for cell in notebook.cells if "outputs" in cell)
    assert "{cite}" not in path.read_text(encoding="utf-8")


def test_a_deck_holds_the_cells_that_ask_for_it_and_no_address_of_another_host(
    chapter, tmp_path, monkeypatch
):
    monkeypatch.setattr(make_slides, "OUT", tmp_path / "slides")
    (tmp_path / "slides").mkdir()
    path, slides = make_slides.make_deck(chapter)
    html = path.read_text(encoding="utf-8")
    assert slides == 2
    assert "<title>A title &amp; more</title>" in html
    assert "for-readers-only" not in html
    assert "Vaswani et al. 2017" in html
    assert 'alt="A line that rises."' in html
    assert "<figcaption>It rises.</figcaption>" in html
    assert not re.findall(r"(?:src|href)=[\"'](?:https?:)?//", html)


def test_what_a_deck_loads_lies_beside_it(chapter, tmp_path, monkeypatch):
    monkeypatch.setattr(make_slides, "OUT", tmp_path / "slides")
    (tmp_path / "slides").mkdir()
    make_slides.copy_parts()
    path, _ = make_slides.make_deck(chapter)
    targets = re.findall(r"(?:src|href)=\"([^\"#:]+)\"", path.read_text(encoding="utf-8"))
    assert targets
    assert not [target for target in targets if not (path.parent / target).exists()]


def test_a_colab_copy_installs_the_package_first(chapter):
    notebook = make_colab.colab_copy(chapter, "https://example.org/book", "main")
    assert "git+https://example.org/book@main" in notebook.cells[0].source
    assert notebook.cells[1].id == "title"
    nbformat.validate(notebook)


def test_no_colab_copies_are_made_while_the_book_has_no_address(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(make_colab, "repository", lambda: ("", "main"))
    monkeypatch.setattr(make_colab, "OUT", tmp_path / "colab")
    assert make_colab.main() == 0
    assert not (tmp_path / "colab").exists()
    assert "repository.url" in capsys.readouterr().out


def test_contents_are_read_in_order_with_their_parts():
    toc = {
        "root": "book/welcome",
        "parts": [
            {"caption": "A", "chapters": [{"file": "x", "sections": [{"file": "x1"}]}]},
            {"caption": "B", "chapters": [{"file": "y"}]},
        ],
    }
    assert contents.pages(toc) == [("", "book/welcome"), ("A", "x"), ("A", "x1"), ("B", "y")]


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("(sec-a)=\n# A", "# A"),
        ("see {ref}`the section <sec-a>`", "see the section"),
        ("a {term}`token`", "a token"),
        ("```{math}\nx\n```", "$$\nx\n$$"),
        ("```{admonition} Look\n:class: tip\nHere.\n```", "> **Look**\n>\n> Here."),
        (":::{warning}\nCareful.\n:::", "> **Warning**\n>\n> Careful."),
        ("```python\n{x}`y`\n```", "```python\n{x}`y`\n```"),
    ],
)
def test_directives_and_roles_become_plain_markdown(myst, plain):
    assert plain_markdown(myst, {}) == plain


def test_a_citation_names_authors_and_year(tmp_path):
    path = tmp_path / "r.bib"
    path.write_text(
        "@book{a2001b,\n  author = {Lovelace, Ada and Babbage, Charles},\n  year = {2001},\n}\n"
    )
    bibliography = read_bibliography(path)
    assert author_year("a2001b", bibliography) == "Lovelace and Babbage 2001"
    assert plain_markdown("{cite:t}`a2001b`", bibliography) == "Lovelace and Babbage 2001"
    assert plain_markdown("{cite}`a2001b`", bibliography) == "(Lovelace and Babbage 2001)"


def test_every_file_of_the_package_is_installed_with_it():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["llmbook"]
    package = ROOT / "src" / "llmbook"
    for path in package.rglob("*"):
        name = path.relative_to(package).as_posix()
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            assert any(
                fnmatch.fnmatch(name, pattern.replace("**/", "*")) for pattern in patterns
            ), name
