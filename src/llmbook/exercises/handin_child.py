"""The child process that runs a handed-in notebook and grades what its functions do.

Started by ``handin.py``. It reads its orders from stdin, so that they are in no argument list,
and writes its findings to the pipe that was its stdout, each with the secret word it was
given. This keeps honest mistakes and simple tricks (printing a result, replacing ``grade``) out
of the report. It is not a security sandbox: the answers run as the user who grades them.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from llmbook.exercises import core, diagnosis, grading, handin_cells, learner
from llmbook.exercises.timeout import TimeUp, time_limit
from llmbook.language import say, translate

Record = dict[str, Any]


class NotebookRun:
    """One notebook being run: its namespace, and the grader that its cells cannot reach."""

    def __init__(self, report: Callable[[Record], None], seed: int, cell_seconds: float) -> None:
        self.report, self.seed, self.cell_seconds = report, seed, cell_seconds
        self.space = ModuleType("__main__")
        self.cell = handin_cells.CodeCell(0, "")
        self.done: set[str] = set()
        self.cut_off = False
        vars(self.space).update(__builtins__=builtins, display=lambda *_, **__: None)
        vars(self.space)[handin_cells.RECORDER] = self.grade
        self._own = _package_modules()

    def run(self, cell: handin_cells.CodeCell) -> None:
        """Execute a cell, then grade what it should have graded and did not."""
        self.cell, self.done = cell, set()
        self.report({"kind": "start", "cell": cell.number})
        self.cut_off = False
        error = self._execute(cell)
        if error is not None:
            self.report({"kind": "cell", "cell": cell.number, "error": error})
        for exercise_id in cell.graded:
            if exercise_id not in self.done:
                self._grade_late(exercise_id, error)

    def grade(self, exercise_id: str, answer: object) -> grading.GradeResult:
        """Grade with the modules as they were before the notebook ran."""
        with self._own_modules():
            try:
                exercise = core.find(exercise_id)
                result = grading.judge(exercise, answer, seed=self.seed)
            except core.UnknownExercise as unknown:
                result = grading.GradeResult(str(exercise_id), "error", str(unknown))
        self.done.add(exercise_id)
        self._record(exercise_id, result.status, result.message, result.misconception)
        return result

    def _execute(self, cell: handin_cells.CodeCell) -> str | None:
        """Run the cell's code; the exception in words, or None."""
        name = f"<cell {cell.number}>"
        lines = cell.source.splitlines(keepends=True)
        linecache.cache[name] = (len(cell.source), None, lines, name)
        try:
            tree = handin_cells.GradeCalls().visit(ast.parse(cell.source, name))
            code = compile(ast.fix_missing_locations(tree), name, "exec")
            with time_limit(self.cell_seconds):
                exec(code, vars(self.space))
        except TimeUp:
            self.cut_off = True
            return say("cut off after {seconds} seconds", seconds=f"{self.cell_seconds:g}")
        except BaseException as error:
            what, line = learner.what_happened(error), learner.line_of(error)
            return say("{error} in {line}", error=what, line=line) if line else what
        return None

    def _grade_late(self, exercise_id: str, error: str | None) -> None:
        """The cell stopped before it came to ``grade``: its function may be there even so."""
        tree = handin_cells.parse(self.cell.source)
        try:
            assert tree is not None
            expression = ast.Expression(handin_cells.answers_in(tree)[exercise_id])
            answer = eval(
                compile(expression, f"<cell {self.cell.number}>", "eval"), vars(self.space)
            )
        except BaseException:
            reason = error or translate("its grade call was never reached")
            status = "timed out" if self.cut_off else "error"
            message = say("The cell failed: {reason}.", reason=reason)
            self._record(exercise_id, status, message, None)
            return
        self.grade(exercise_id, answer)

    def _record(self, exercise_id: str, status: str, message: str, name: str | None) -> None:
        self.report(
            {
                "kind": "exercise",
                "id": exercise_id,
                "status": status,
                "misconception": name,
                "message": message,
                "cell": self.cell.number,
            }
        )

    @contextmanager
    def _own_modules(self) -> Iterator[None]:
        """The grader's copy of the package stands in for the notebook's while it grades."""
        theirs = _package_modules()
        _swap(theirs, self._own)
        try:
            yield
        finally:
            _swap(_package_modules(), theirs)


def _package_modules() -> dict[str, ModuleType]:
    return {k: m for k, m in sys.modules.items() if k == "llmbook" or k.startswith("llmbook.")}


def _swap(out: dict[str, ModuleType], into: dict[str, ModuleType]) -> None:
    for name in out:
        sys.modules.pop(name, None)
    sys.modules.update(into)


def _prepare(chapters: list[str], seed: int) -> None:
    """Compute what is expected before the notebook can change anything it rests on."""
    for number in chapters:
        for exercise in core.chapter_exercises(number):
            diagnosis.solution_outcomes(exercise, seed)
            diagnosis.misconception_outcomes(exercise, seed)


def _refuse_network(event: str, args: tuple) -> None:
    """An audit hook, which nothing can take away again."""
    to_path = event == "socket.connect" and isinstance(args[1], str | bytes)
    if event in ("socket.connect", "socket.getaddrinfo") and not to_path:
        raise ConnectionError("there is no network while a notebook is graded")


def _reporter(nonce: str) -> Callable[[Record], None]:
    """Keep standard output for the records; what the notebook prints goes nowhere."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)

    def report(record: Record) -> None:
        pipe.write(json.dumps(record | {"nonce": nonce}) + "\n")
        pipe.flush()

    return report


def main() -> None:
    """Read the orders, run the cells, leave without waiting for what they left behind."""
    orders = json.loads(sys.stdin.readline())
    _prepare(orders["chapters"], orders["seed"])
    report = _reporter(orders["nonce"])
    run = NotebookRun(report, orders["seed"], orders["cell_seconds"])
    sys.addaudithook(_refuse_network)
    _swap(_package_modules(), {"__main__": run.space})
    importlib.import_module("llmbook.exercises")  # the notebook's copy, before its folder counts
    sys.path.insert(0, os.getcwd())
    for cell in handin_cells.read_code_cells(orders["notebook"]):
        if cell.number not in orders["skip"]:
            run.run(cell)
    report({"kind": "end"})
    os._exit(0)


if __name__ == "__main__":
    main()
