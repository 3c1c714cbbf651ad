"""What the package says in another language follows its catalogues and the chapters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import catalogues
import extract_messages
import message_sources
import run_notebooks
import translated_outputs
from llmbook.language import languages, translate

ROOT = Path(__file__).resolve().parents[2]
STORES = sorted(catalogues.LOCALES.glob("*/outputs/*.json"))
PROMISED = [
    (language, Path(page).name)
    for language in catalogues.LANGUAGES
    for page in catalogues.complete_pages(language)
    if page.startswith("notebooks/")
]


@pytest.fixture(params=STORES, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def store(request) -> dict:
    """Each chapter's outputs in each language, in turn."""
    content = json.loads(request.param.read_text(encoding="utf-8"))
    return content | {"language": request.param.parents[1].name}


@pytest.mark.parametrize("language", catalogues.LANGUAGES)
def test_the_compiled_catalogue_is_in_step_with_its_sources(language):
    assert language in languages()
    compiled = extract_messages.compiled(language).read_bytes()
    assert compiled == extract_messages.compile_catalogues(language), (
        "run: python scripts/extract_messages.py --compile"
    )


def test_the_compiled_catalogue_holds_no_date_of_its_making():
    assert b"1970-01-01" in extract_messages.compile_catalogues("zh_CN")
    assert b"Date: 20" not in extract_messages.compile_catalogues("zh_CN")


@pytest.mark.parametrize(("language", "chapter"), PROMISED)
def test_a_chapter_that_is_complete_has_its_outputs_too(language, chapter):
    assert translated_outputs.store_path(language, chapter).exists(), (
        f"run: make notebooks BOOK_LANG={language} NB={chapter[:2]}"
    )


def test_the_outputs_of_a_chapter_are_those_of_its_cells_and_its_catalogue(store):
    notebook = nbformat.read(ROOT / "notebooks" / f"{store['chapter']}.ipynb", as_version=4)
    old = list(translated_outputs.out_of_date(store, notebook, store["language"]))
    again = f"run: make notebooks BOOK_LANG={store['language']} NB={store['chapter'][:2]}"
    assert not old, again


def test_outputs_hold_no_scripts_and_differ_from_the_english_ones(store):
    notebook = nbformat.read(ROOT / "notebooks" / f"{store['chapter']}.ipynb", as_version=4)
    english = {cell.id: cell for cell in notebook.cells}
    for cell, kept in store["cells"].items():
        assert "data-llmbook-inline" not in json.dumps(kept["outputs"]), cell
        assert kept["outputs"] != translated_outputs.shared(english[cell].outputs), cell
        assert kept["messages"], cell
        assert not [o for o in kept["outputs"] if o.get("name") == "stderr"], cell


# The checks, on examples that are wrong -----------------------------------------------------------


def cell(source: str, outputs: list[dict], **more) -> dict:
    return {"cell_type": "code", "id": "a", "source": source, "outputs": outputs} | more


def noted(*rows: list[str]) -> dict:
    return {"output_type": "display_data", "data": {translated_outputs.ASKED: list(rows)}}


def shown(text: str) -> dict:
    return {"output_type": "display_data", "data": {"text/html": text}}


RUN = [shown("<b>对</b><script data-llmbook-inline>x</script>"), noted(["", "Right", "对"])]


def test_a_run_keeps_the_cells_whose_words_were_translated():
    english, spoken = {"cells": [cell("x", [shown("Right")])]}, {"cells": [cell("x", RUN)]}
    made = translated_outputs.collect("00_x", english, spoken)
    assert made["cells"]["a"]["outputs"] == [shown("<b>对</b>")]
    assert made["cells"]["a"]["messages"] == {"Right": "对"}
    assert made["asked"] == [["", "Right", "对"]]


def test_a_run_drops_cells_that_show_the_same_or_looked_nothing_up():
    same = {"cells": [cell("x", [shown("<b>对</b>")])]}
    assert translated_outputs.collect("00_x", same, {"cells": [cell("x", RUN)]})["cells"] == {}
    other = {"cells": [cell("x", [shown("another picture"), noted(["", "Right", "Right"])])]}
    assert translated_outputs.collect("00_x", same, other)["cells"] == {}


def test_a_changed_cell_and_a_changed_translation_are_found():
    made = translated_outputs.collect(
        "00_x", {"cells": [cell("x", [])]}, {"cells": [cell("x", RUN)]}
    )
    old = list(translated_outputs.out_of_date(made, {"cells": [cell("y", [])]}, "zh_CN"))
    assert len(old) == 2
    assert "has changed" in old[0]
    assert "'Right'" in old[1]


def test_a_run_of_the_exercises_keeps_what_the_other_cells_showed(tmp_path):
    def both(outputs: list[dict]) -> dict:
        return {"cells": [cell("x", outputs), cell("y", [shown("Wrong")], id="b")]}

    english = both([shown("Right")])
    target = tmp_path / "00_x.json"
    wrong = [shown("错"), noted(["", "Wrong", "错"])]
    whole = {"cells": [cell("x", RUN), cell("y", wrong, id="b")]}
    first = translated_outputs.update(target, english, whole)
    target.write_text(translated_outputs.as_text(first), encoding="utf-8")
    again = [shown("不对"), noted(["", "Wrong", "不对"])]
    second = translated_outputs.update(target, english, {"cells": [cell("y", again, id="b")]})
    assert second["cells"]["a"] == first["cells"]["a"]
    assert second["cells"]["b"]["messages"] == {"Wrong": "不对"}
    assert second["asked"] == [["", "Right", "对"], ["", "Wrong", "不对"]]


def test_two_translations_of_one_message_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogues, "folder", lambda _: tmp_path)
    for name, text in (("grader", "对"), ("chapter_01", "正确")):
        catalogue = catalogues.read(tmp_path / "none.po")
        catalogue.add("Right", text)
        catalogues.write(tmp_path / "llmbook" / f"{name}.po", catalogue)
    with pytest.raises(ValueError, match="one message has one translation"):
        extract_messages.compile_catalogues("zh_CN")


def test_messages_are_found_in_calls_with_a_literal_or_a_named_context(tmp_path, monkeypatch):
    monkeypatch.setattr(message_sources, "ROOT", tmp_path)
    path = tmp_path / "x.py"
    path.write_text('here = "quiz"\ntranslate("a", here)\nmark("b")\ntranslate(c)\n')
    found = [(said.text, said.context) for said in message_sources.calls(path, "d")]
    assert found == [("a", "quiz"), ("b", "")]
    path.write_text('translate("a", there())\n')
    with pytest.raises(ValueError, match="literal"):
        list(message_sources.calls(path, "d"))


def test_every_message_has_one_catalogue_and_no_two_are_alike():
    found = [(m.context, m.id) for _, m in extract_messages.package_messages()]
    assert len(found) == len(set(found))


# Running a chapter in another language ------------------------------------------------------------


def test_a_run_in_another_language_notes_its_messages_and_leaves_the_notebook(
    tmp_path, monkeypatch
):
    for name in (*run_notebooks.ENVIRONMENT, "LLMBOOK_LANG"):
        monkeypatch.setenv(name, "")  # puts back what execute() sets
    monkeypatch.setattr(translated_outputs, "LOCALES", tmp_path)
    notebook = nbformat.v4.new_notebook()
    source = "from llmbook.exercises import hint\nhint('07.nothing')"
    notebook.cells = [nbformat.v4.new_code_cell(source), nbformat.v4.new_code_cell("print(1)")]
    path = tmp_path / "00_small.ipynb"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    record = run_notebooks.execute(path, "zh_CN")
    assert record["error"] is None
    assert path.read_bytes() == before
    made = json.loads((tmp_path / "zh_CN" / "outputs" / "00_small.json").read_text("utf-8"))
    message = "There is no exercise {id}. Did you mean {near}?"
    found = translate(message, to="zh_CN")
    assert made["asked"] == [["", message, found]]
    (kept,) = made["cells"].values()
    assert kept["messages"] == {message: found}
    assert found[:4] in kept["outputs"][0]["text"]


def test_a_language_that_the_book_does_not_have_is_refused():
    command = [sys.executable, "scripts/run_notebooks.py", "07"]
    environment = os.environ | {"BOOK_LANG": "tlh"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "No language tlh. There are: en, zh_CN" in done.stderr
