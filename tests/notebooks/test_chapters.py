"""The rules of a chapter: what a reader may rely on in every one of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from contents import read_contents

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 900_000
MAX_EXEMPT = 1 / 4
EXEMPT = "nbval-ignore-output"
# Paths of somebody's machine, in a source or an output.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|work|Users|tmp|usr|var|mnt|opt)/|\b[A-Z]:\\\\"
)
INSTALLING = re.compile(r"^\s*[!%]\s*(?:pip|conda|mamba|apt|apt-get)\b", re.MULTILINE)


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request) -> Path:
    """Each chapter in turn."""
    return request.param


@pytest.fixture
def notebook(chapter) -> nbformat.NotebookNode:
    """The chapter as a notebook."""
    return nbformat.read(chapter, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def prose(notebook) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def data_types(cell) -> set[str]:
    return {kind for output in cell.outputs for kind in output.get("data", {})}


def where(cell) -> str:
    return f"{cell.id}: {cell.source.strip().splitlines()[0] if cell.source.strip() else ''}"


def test_every_chapter_stands_in_the_contents_and_no_other():
    listed = {page for _, page in read_contents() if page.startswith("notebooks/")}
    assert listed == {f"notebooks/{path.stem}" for path in CHAPTERS}
    assert {path.stem[:2] for path in CHAPTERS} >= {"01", "07", "12"}


def test_a_chapter_is_small_enough_to_open_anywhere(chapter):
    assert chapter.stat().st_size <= MAX_BYTES


def test_the_file_is_a_valid_notebook_with_the_common_kernel(chapter, notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", chapter.stem)


def test_cell_ids_are_unique_so_that_links_and_differences_stay_stable(notebook):
    twice = [name for name, n in Counter(cell.id for cell in notebook.cells).items() if n > 1]
    assert not twice


def test_cells_were_executed_once_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_failed_or_warned(notebook):
    noisy = [
        where(cell)
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert not noisy


def test_nothing_of_a_machine_or_a_run_is_recorded(notebook):
    assert "version" not in notebook.metadata.get("language_info", {})
    assert not [where(cell) for cell in notebook.cells if "execution" in cell.metadata]
    for cell in notebook.cells:
        assert not ABSOLUTE_PATH.search(cell.source), where(cell)
        for output in cell.get("outputs", []):
            text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not ABSOLUTE_PATH.search(text), where(cell)


def test_no_cell_installs_anything(notebook):
    assert not [where(cell) for cell in code_cells(notebook) if INSTALLING.search(cell.source)]


def test_figures_have_a_name_a_caption_and_alt_text(chapter, notebook):
    names = []
    for cell in code_cells(notebook):
        if not data_types(cell) & {"image/png", "image/svg+xml", "image/jpeg"}:
            continue
        described = cell.metadata.get("mystnb", {})
        figure, alt = described.get("figure", {}), described.get("image", {}).get("alt", "")
        assert figure.get("caption", "").strip(), f"no caption: {where(cell)}"
        assert len(alt) >= 30, f"the alt text says too little: {where(cell)}"
        assert alt != figure["caption"], f"alt text says what is seen: {where(cell)}"
        names.append(figure.get("name", ""))
    assert names, "a chapter without a figure"
    assert all(name.startswith(f"fig-{chapter.stem[:2]}-") for name in names), names
    assert len(set(names)) == len(names)


def test_images_in_the_prose_have_alt_text_and_lie_in_the_repository(chapter, notebook):
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", prose(notebook)):
        assert alt.strip(), target
        assert (chapter.parent / target).exists(), target
    assert "<img" not in prose(notebook)


def test_few_cells_are_exempt_from_comparison_and_each_asserts_its_claim(notebook):
    cells = code_cells(notebook)
    exempt = [cell for cell in cells if EXEMPT in tags(cell)]
    assert len(exempt) <= MAX_EXEMPT * len(cells), f"{len(exempt)} of {len(cells)} cells"
    bare = [where(cell) for cell in exempt if not re.search(r"^\s*assert\b", cell.source, re.M)]
    assert not bare
    hidden = {"nbval-skip", "nbval-raises-exception", "raises-exception", "NBVAL_SKIP"}
    assert not [where(cell) for cell in cells if tags(cell) & hidden]
    assert not [where(cell) for cell in cells if "# NBVAL" in cell.source]


def test_randomness_is_seeded_in_the_cell_after_the_imports(notebook):
    assert any("seed_everything(0)" in cell.source for cell in code_cells(notebook))


def test_a_chapter_opens_with_title_objectives_prerequisites_and_times(notebook):
    assert re.match(r"(?:\(.+\)=\n)?# \S", notebook.cells[0].source)
    opening = "\n".join(cell.source for cell in notebook.cells[:6]).lower()
    assert re.search(r"at the end you can|you will be able to|objectives", opening)
    assert "minutes" in opening
    assert re.search(r"read first|have read|prerequisite|you need", opening)
    assert "deeper" in opening


def test_a_chapter_has_graded_exercises_with_hint_and_solution(chapter, notebook):
    number = chapter.stem[:2]
    source = "\n".join(cell.source for cell in code_cells(notebook))
    graded = set(re.findall(rf'grade\("({number}\.\w+)"', source))
    assert 3 <= len(graded) <= 6
    assert set(re.findall(rf'hint\("({number}\.\w+)"', source)) == graded
    assert set(re.findall(rf'show_solution\("({number}\.\w+)"', source)) == graded
    for cell in code_cells(notebook):
        if cell.source.startswith("show_solution("):
            assert "solution" in tags(cell)


def test_the_exercise_cells_are_those_that_the_package_writes(chapter):
    from llmbook.exercises.cells import refresh

    content = json.loads(chapter.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        cell["source"] = "".join(cell["source"])
    assert refresh(content, chapter.stem[:2]) == []


def test_untouched_stubs_say_so(notebook):
    for cell in code_cells(notebook):
        if "exercise" in tags(cell):
            shown = json.dumps(cell.outputs)
            assert "not attempted yet" in shown.lower(), where(cell)


def test_a_chapter_has_a_quiz_references_and_a_way_on(chapter, notebook):
    source = "\n".join(cell.source for cell in code_cells(notebook))
    assert f'quiz("{chapter.stem[:2]}")' in source
    text = prose(notebook)
    assert re.search(r"\{cite(?::\w+)?\}`", text)
    assert re.search(r"^#+ (?:Summary|In short|In five lines)", text, re.M)
    assert re.search(r"read next|where to go|further reading|next chapter", text, re.I)


def test_a_chapter_makes_a_deck_of_slides(notebook):
    kinds = Counter(
        cell.metadata.get("slideshow", {}).get("slide_type", "none") for cell in notebook.cells
    )
    assert kinds["slide"] + kinds["subslide"] >= 8
    assert set(kinds) <= {"none", "slide", "subslide", "fragment", "notes", "skip", "-"}


def test_only_the_roles_that_every_reader_of_notebooks_bears_are_used(notebook):
    roles = set(
        re.findall(r"\{([\w:-]+)\}`", re.sub(r"```.*?```", "", prose(notebook), flags=re.S))
    )
    assert roles <= {"cite", "cite:t", "cite:p", "ref", "numref", "eq", "term", "dfn", "doc"}


def test_prose_keeps_the_tone(notebook):
    text = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", "", prose(notebook), flags=re.S)
    assert not re.search(r"\b(?:simply|obviously|of course|needless to say)\b", text, re.I)
    assert not re.search(r"[A-Za-z]!(?:\s|$)", text)
