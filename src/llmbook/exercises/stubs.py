"""What the reader starts from: the solution's signature and docstring, without its body."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from llmbook.exercises.core import Exercise


def solution_source(exercise: Exercise) -> str:
    """The solution as it stands in the chapter's file."""
    return textwrap.dedent(inspect.getsource(exercise.solution)).strip()


def stub_source(exercise: Exercise) -> str:
    """The solution with ``raise NotImplementedError`` in place of each function's body.

    Raises:
        ValueError: the solution, or a method of it, has no docstring.
    """
    source = solution_source(exercise)
    lines = source.splitlines()
    node = ast.parse(source).body[0]
    functions = [f for f in ast.walk(node) if isinstance(f, ast.FunctionDef)]
    if isinstance(node, ast.FunctionDef):
        functions = [node]
    for function in sorted(functions, key=lambda f: -f.lineno):
        if ast.get_docstring(function) is None:
            raise ValueError(f"{exercise.id}: {function.name} needs a docstring, the stub keeps it")
        documented = function.body[0].end_lineno
        indent = " " * function.body[0].col_offset
        lines[documented : function.end_lineno] = [f"{indent}raise NotImplementedError"]
    return "\n".join(lines)


def stub(exercise: Exercise) -> Callable[..., Any]:
    """The stub as a function (or class) that can be graded."""
    scope: dict[str, Any] = dict(vars(sys.modules[exercise.solution.__module__]))
    exec(compile(stub_source(exercise), f"<stub of {exercise.id}>", "exec"), scope)
    return scope[exercise.name]
