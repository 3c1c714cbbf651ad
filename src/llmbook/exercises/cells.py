"""The notebook cells of an exercise, written from the exercise itself, and kept in step with it.

    python -m llmbook.exercises.cells notebooks/07_attention.ipynb

rewrites the exercise and quiz cells of a notebook in place; a cell is known by its id.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from llmbook.exercises.core import Exercise, chapter_exercises, find
from llmbook.exercises.stubs import stub_source

Cell = dict[str, Any]


def exercise_cells(exercise_id: str) -> list[Cell]:
    """Statement, stub with its grading, hint, solution: four cells of notebook format 4.5."""
    exercise = find(exercise_id)
    return [
        _markdown(_cell_id(exercise, "statement"), statement_text(exercise)),
        _code(_cell_id(exercise, "answer"), answer_text(exercise), "exercise"),
        _code(_cell_id(exercise, "hint"), f'hint("{exercise.id}")', "hint"),
        _code(_cell_id(exercise, "solution"), f'show_solution("{exercise.id}")', "solution"),
    ]


def quiz_cell(chapter: str) -> Cell:
    """The cell that shows the chapter's quiz."""
    return _code(f"quiz-{chapter}", f'quiz("{chapter}")', "quiz")


def statement_text(exercise: Exercise) -> str:
    """The Markdown of the statement cell."""
    return f"### Exercise: {exercise.title}\n\n{exercise.statement}"


def answer_text(exercise: Exercise) -> str:
    """The stub, and the call that grades it."""
    return f'{stub_source(exercise)}\n\n\ngrade("{exercise.id}", {exercise.name})'


def _cell_id(exercise: Exercise, part: str) -> str:
    return f"ex-{exercise.id.replace('.', '-').replace('_', '-')}-{part}"[:64]


def _markdown(cell_id: str, source: str) -> Cell:
    return {"cell_type": "markdown", "id": cell_id, "metadata": {}, "source": source}


def _code(cell_id: str, source: str, tag: str) -> Cell:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": {"tags": [tag]},
        "outputs": [],
        "source": source,
    }


def wanted_cells(chapter: str) -> dict[str, Cell]:
    """Every generated cell of a chapter by id."""
    cells = [c for exercise in chapter_exercises(chapter) for c in exercise_cells(exercise.id)]
    return {cell["id"]: cell for cell in [*cells, quiz_cell(chapter)]}


def refresh(notebook: dict[str, Any], chapter: str) -> list[str]:
    """Bring a notebook's generated cells up to date; returns the ids that changed."""
    wanted = wanted_cells(chapter)
    changed = []
    for cell in notebook["cells"]:
        fresh = wanted.get(cell.get("id", ""))
        if fresh is None:
            continue
        tags = cell["metadata"].setdefault("tags", []) if "outputs" in fresh else []
        missing = [t for t in fresh["metadata"].get("tags", []) if t not in tags]
        tags.extend(missing)
        if "".join(cell["source"]) != fresh["source"]:
            cell["source"] = fresh["source"].splitlines(keepends=True)
            if "outputs" in cell:
                cell.update(outputs=[], execution_count=None)
            changed.append(cell["id"])
        elif missing:
            changed.append(cell["id"])
    return changed


def main(paths: list[str]) -> None:
    """Refresh the notebooks named on the command line."""
    for path in map(Path, paths):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        changed = refresh(notebook, path.name[:2])
        if changed:
            text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf-8")
        print(f"{path}: {', '.join(changed) or 'nothing to change'}")


if __name__ == "__main__":
    main(sys.argv[1:])
