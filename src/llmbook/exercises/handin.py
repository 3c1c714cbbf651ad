"""Grade a handed-in copy of a chapter: run it in a process of its own and report each exercise.

The notebook's code runs as you, with your rights. It is kept from the network and its own output
cannot pass for a result, but this is not a security sandbox: grade strangers' files in a
container or a virtual machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llmbook.exercises import core
from llmbook.exercises.handin_cells import CodeCell, read_code_cells
from llmbook.language import mark, say, translate

CELL_SECONDS = 120.0
MAX_RESTARTS = 3
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "LLMBOOK_DEVICE": "cpu",
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}


@dataclass
class ExerciseReport:
    """What became of one exercise; ``status`` as in ``GradeResult``, or ``missing``."""

    id: str
    title: str
    status: str
    misconception: str | None = None
    message: str = ""
    cell: int | None = None


@dataclass
class Report:
    """What became of a notebook."""

    file: str
    chapters: list[str]
    exercises: list[ExerciseReport]
    cell_errors: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def n_passed(self) -> int:
        """Number of exercises that passed."""
        return sum(exercise.status == "passed" for exercise in self.exercises)

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return asdict(self) | {"n_passed": self.n_passed, "n_exercises": len(self.exercises)}


def grade_file(path: str | Path, *, time_limit: float = 600.0, seed: int = 0) -> Report:
    """Run a notebook and grade every exercise of its chapters.

    Args:
        path: the .ipynb file.
        time_limit: seconds for the whole notebook; one cell gets at most 120 of them.
        seed: of the grader's inputs; another one draws others.

    Raises:
        FileNotFoundError, ValueError: no notebook, or one without any exercise.
        RuntimeError: the grading process could not be started.
    """
    path = Path(path).resolve()
    cells = read_code_cells(path)
    chapters = _chapters(path, cells)
    started = time.monotonic()
    records = _run_to_the_end(path, chapters, started + time_limit, seed)
    report = Report(
        file=str(path),
        chapters=chapters,
        exercises=_exercises(cells, chapters, records),
        cell_errors=[{"cell": n, "error": e} for n, e in sorted(_cell_errors(records).items())],
    )
    report.seconds = round(time.monotonic() - started, 1)
    return report


def _chapters(path: Path, cells: list[CodeCell]) -> list[str]:
    """Chapters whose exercises the notebook grades; if there are none, the one in its name."""
    known = core.chapters()
    named = {i[:2] for cell in cells for i in cell.graded if i[:2] in known}
    chapters = sorted(named) or [number for number in known if path.name.startswith(number)]
    if not chapters:
        sentence = translate(
            '{path} grades no exercise of this book: no cell calls grade("NN.name", …), '
            "and its name does not begin with a chapter that has some ({known})"
        )
        raise ValueError(sentence.format(path=path, known=", ".join(known)))
    return chapters


def _run_to_the_end(
    path: Path, chapters: list[str], deadline: float, seed: int
) -> list[dict[str, Any]]:
    """Run the child; where a cell ends the whole process, run again without that cell."""
    skip: list[int] = []
    records: list[dict[str, Any]] = []
    while True:
        orders = {"notebook": str(path), "chapters": chapters, "seed": seed, "skip": skip}
        new, how = _run_child(orders, path.parent, deadline)
        started = [r["cell"] for r in new if r["kind"] == "start"]
        records += new
        if any(r["kind"] == "end" for r in new):
            return records
        out_of_time = time.monotonic() >= deadline
        if started:
            ended = say("ended the process ({how})", how=how)
            what = translate("ran out of time") if out_of_time else ended
            records.append({"kind": "cell", "cell": started[-1], "error": what})
        elif not out_of_time:
            raise RuntimeError(say("the grading process could not start: {how}", how=how))
        if out_of_time or len(skip) == MAX_RESTARTS:
            return [*records, {"kind": "cut", "out_of_time": out_of_time}]
        skip.append(started[-1])


def _run_child(
    orders: dict[str, Any], folder: Path, deadline: float
) -> tuple[list[dict[str, Any]], str]:
    """One run of the child: its records, and how it ended.

    The child keeps the pipe of its standard output for the records and gives the notebook
    another; only lines with this run's secret word are believed.
    """
    nonce = secrets.token_hex(16)
    left = max(1.0, deadline - time.monotonic())
    orders = orders | {"nonce": nonce, "cell_seconds": min(CELL_SECONDS, left)}
    child = subprocess.Popen(
        # -P: a file beside the notebook must not pass for a module of the grader.
        [sys.executable, "-P", "-m", "llmbook.exercises.handin_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | _ENVIRONMENT,
        start_new_session=True,
    )
    try:
        out, err = child.communicate((json.dumps(orders) + "\n").encode(), timeout=left)
        _end(child)
    except subprocess.TimeoutExpired:
        _end(child)
        out, err = child.communicate(timeout=10)
    finally:
        _end(child)
    tail = err.decode(errors="replace").strip().splitlines()[-1:]
    return _believed(out, nonce), tail[0] if tail else f"exit status {child.returncode}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
    child.wait()


def _believed(out: bytes, nonce: str) -> list[dict[str, Any]]:
    """The lines that carry the secret word."""
    records = []
    for line in out.decode(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.pop("nonce", None) == nonce:
            records.append(record)
    return records


def _cell_errors(records: list[dict[str, Any]]) -> dict[int, str]:
    return {r["cell"]: r["error"] for r in records if r["kind"] == "cell"}


def _exercises(
    cells: list[CodeCell], chapters: list[str], records: list[dict[str, Any]]
) -> list[ExerciseReport]:
    """Every exercise of the chapters, then ids that no chapter has; the last grading counts."""
    graded = {r["id"]: r for r in records if r["kind"] == "exercise"}
    asked = {i: cell.number for cell in cells for i in cell.graded}
    failed = _cell_errors(records)
    cut = next((r for r in records if r["kind"] == "cut"), None)
    titles = {e.id: e.title for number in chapters for e in core.chapter_exercises(number)}
    reports = []
    for exercise_id in [*titles, *(i for i in asked if i not in titles)]:
        title, cell = titles.get(exercise_id, ""), asked.get(exercise_id)
        found = graded.get(exercise_id)
        if found:
            fields = {k: found[k] for k in ("status", "misconception", "message", "cell")}
            reports.append(ExerciseReport(exercise_id, title, **fields))
        elif cell is None:
            message = translate("No cell of the notebook grades this exercise.")
            reports.append(ExerciseReport(exercise_id, title, "missing", None, message))
        else:
            status = "timed out" if cut and cut["out_of_time"] else "error"
            reason = failed.get(cell) or translate("was never reached")
            message = say("Cell {n}: {reason}.", n=cell, reason=reason)
            reports.append(ExerciseReport(exercise_id, title, status, None, message, cell))
    return reports


_STATUSES = (
    mark("passed"), mark("misconception"), mark("failed"), mark("not attempted"), mark("error"),
    mark("timed out"), mark("missing"),
)  # fmt: skip


def table(report: Report) -> str:
    """The report as lines for a terminal."""
    width = max(len(exercise.id) for exercise in report.exercises)
    head = translate("{file}: {n} of {all} passed ({seconds} s)")
    lines = [
        head.format(
            file=Path(report.file).name,
            n=report.n_passed,
            all=len(report.exercises),
            seconds=f"{report.seconds:.0f}",
        )
    ]
    for exercise in report.exercises:
        verdict = translate(exercise.status)
        if exercise.misconception:
            shown = translate("{status}: {misconception}")
            verdict = shown.format(status=verdict, misconception=exercise.misconception)
        mark = {"passed": "✓", "not attempted": "○"}.get(exercise.status, "✗")
        lines.append(f"  {mark} {exercise.id:<{width}}  {verdict}")
    failed = translate("cell {n} failed: {error}")
    lines += ["  " + failed.format(n=e["cell"], error=e["error"]) for e in report.cell_errors]
    return "\n".join(lines)
