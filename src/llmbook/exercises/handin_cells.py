"""Reading a handed-in notebook: its code cells as Python, and the exercises they grade."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmbook.files import read_json

RECORDER = "__llmbook_grade__"
"""The name under which the child process offers its own grader to the cells."""

_CALL = re.compile(r"""\bgrade\s*\(\s*["']([^"']+)["']""")
_BODY_MAGICS = ("%%time", "%%timeit", "%%capture")


@dataclass
class CodeCell:
    """A code cell: its place in the notebook (from 1, all cells counted) and what it grades."""

    number: int
    source: str
    graded: list[str] = field(default_factory=list)


def read_code_cells(path: str | Path) -> list[CodeCell]:
    """The code cells of a notebook, in order.

    Raises:
        FileNotFoundError, ValueError: no such file, or not a notebook; the message says which.
    """
    notebook = read_json(path)
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError(f"{path} is not a notebook of format 4: it has no list of cells")
    found = []
    for number, cell in enumerate(cells, start=1):
        if cell.get("cell_type") == "code":
            source = plain_python(_text(cell.get("source", "")))
            found.append(CodeCell(number, source, graded_ids(source)))
    return found


def _text(source: Any) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def plain_python(source: str) -> str:
    """The cell without IPython's own syntax; line numbers stay as they are.

    Lines that begin with % or ! are dropped, and so is the whole of a cell for another
    language (``%%bash``). ``%%time`` and its like lose that line only.
    """
    lines = source.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in _BODY_MAGICS:
        return ""
    return "\n".join("" if line.startswith(("%", "!")) else line for line in lines)


def graded_ids(source: str) -> list[str]:
    """Ids of the exercises that a cell grades, also where it is not valid Python."""
    tree = parse(source)
    if tree is None:
        code = "\n".join(line.split("#")[0] for line in source.splitlines())
        return list(dict.fromkeys(_CALL.findall(code)))
    return list(dict.fromkeys(i for node in ast.walk(tree) if (i := _graded_id(node))))


def parse(source: str) -> ast.Module | None:
    """The cell's syntax tree, or None where Python cannot read it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _graded_id(node: ast.AST) -> str | None:
    """The exercise id, where the node is a call ``grade("id", answer)``."""
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return None
    function, first = node.func, node.args[0]
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    is_id = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return first.value if name == "grade" and is_id else None  # type: ignore[attr-defined]


def answers_in(tree: ast.Module) -> dict[str, ast.expr]:
    """What each exercise of a cell is answered with: the second argument of ``grade``."""
    return {i: node.args[1] for node in ast.walk(tree) if (i := _graded_id(node))}  # type: ignore[attr-defined]


class GradeCalls(ast.NodeTransformer):
    """Sends every call of ``grade`` to the child's own grader, whatever ``grade`` has become."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if _graded_id(node):
            node.func = ast.copy_location(ast.Name(RECORDER, ast.Load()), node.func)
            node.args, node.keywords = node.args[:2], []
        return node
