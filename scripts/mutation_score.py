"""Plant small faults in the engine, one at a time, and count how many the unit tests notice.

    pip install cosmic-ray==8.7.0
    python scripts/mutation_score.py --number 200 --json results/mutation.json

Cosmic Ray's operators make the faults (another comparison, another constant, a `not` too many).
Places are drawn at random from `nn`, `models`, `generate` and `tokenizers`, then one fault for
each; those that change annotations or docstrings only are passed over. Each fault is tried in
a forked process that has the heavy libraries loaded and llmbook not yet, and whose loader hands
out the changed source: no file is touched.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib.machinery
import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "llmbook"
TESTS = {
    "nn": "attention parts engine_parts cache gpt parity",
    "models": "gpt engine_parts bert seq2seq parity ngram",
    "generate": "generate*",
    "tokenizers": "tokenizers bpe_parity wordpiece chat",
}
HEAVY = (
    "torch",
    "numpy",
    "pytest",
    "hypothesis",
    "beartype",
    "jaxtyping",
    "regex",
    "tokenizers",
    "transformers.models.llama.modeling_llama",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.bert.modeling_bert",
    "transformers.models.marian.modeling_marian",
)
TIME_LIMIT = 240.0


class Fault(NamedTuple):
    """One change: the file, the operator's name, which of its places, and the new source."""

    path: Path
    operator: str
    line: int
    source: str


def main() -> int:
    """Draw, try, count; write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=TESTS, help="faults of one part only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faults = draw_faults(options.number, options.seed, options.part)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests" / "support")]
    for name in HEAVY:
        __import__(name)
    for part in {fault.path.relative_to(SOURCE).parts[0] for fault in faults}:
        path = _files(part.removesuffix(".py"))[0]
        sound = Fault(path, "none", 0, path.read_text(encoding="utf-8"))
        if try_fault(sound) != "survived":
            sys.exit(f"the tests of {part} fail without a fault: mend them first")
    outcomes = []
    for number, fault in enumerate(faults):
        started = time.time()
        outcome = try_fault(fault)
        outcomes.append(outcome)
        where = f"{fault.path.relative_to(SOURCE)}:{fault.line}"
        took = time.time() - started
        print(
            f"{number + 1}/{len(faults)} {outcome:9} {took:5.0f} s  {where}  {fault.operator}",
            flush=True,
        )
        if outcome == "survived":
            print(difference(fault), flush=True)
        if options.json:
            options.json.write_text(
                json.dumps(report(faults, outcomes, options.seed), indent=1) + "\n"
            )
    print(json.dumps(report(faults, outcomes, options.seed)["score"]))
    return 0


def draw_faults(number: int, seed: int, part: str | None) -> list[Fault]:
    """A random sample of places, and for each a random fault that can change what runs."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import get_ast
    from cosmic_ray.mutating import mutate_code

    places: dict[tuple[Path, Any], list[tuple[str, int]]] = defaultdict(list)
    parts = [part] if part else list(TESTS)
    for path in sorted(p for name in parts for p in _files(name)):
        tree = get_ast(path.read_text(encoding="utf-8"))
        for name in plugins.operator_names():
            try:
                operator = plugins.get_operator(name)()
            except TypeError:  # an operator that needs settings
                continue
            for occurrence, place in enumerate(_positions(tree, operator)):
                places[path, place].append((name, occurrence))
    chance = random.Random(seed)
    order = sorted(places, key=str)
    chance.shuffle(order)
    faults: list[Fault] = []
    for path, place in order:
        name, occurrence = chance.choice(places[path, place])
        before = path.read_text(encoding="utf-8")
        after = mutate_code(before, plugins.get_operator(name)(), occurrence)
        if after is not None and _runs_differently(before, after):
            faults.append(Fault(path, name, place[0][0], after))
        if len(faults) == number:
            break
    return faults


def _files(part: str) -> list[Path]:
    folder = SOURCE / part
    return list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def _positions(tree: Any, operator: Any) -> list[Any]:
    found: list[Any] = []

    def walk(node: Any) -> None:
        found.extend(operator.mutation_positions(node))
        for child in getattr(node, "children", ()):
            walk(child)

    walk(tree)
    return found


class _Bare(ast.NodeTransformer):
    """Drops what does not run: annotations, docstrings, and the words of error messages."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise(exc=None, cause=None)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def _runs_differently(before: str, after: str) -> bool:
    try:
        bare = [ast.dump(_Bare().visit(ast.parse(text))) for text in (before, after)]
    except SyntaxError:
        return False
    return bare[0] != bare[1]


def try_fault(fault: Fault) -> str:
    """Run the part's tests on the changed source in a fork: killed, survived or timeout."""
    part = fault.path.relative_to(SOURCE).parts[0].removesuffix(".py")
    files = [
        str(f)
        for name in TESTS[part].split()
        for f in sorted(ROOT.glob(f"tests/unit/test_{name}.py"))
    ]
    child = os.fork()
    if child == 0:
        os.setsid()
        _run_tests(fault, files)
    deadline = time.time() + TIME_LIMIT
    while time.time() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "survived" if status == 0 else "killed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _run_tests(fault: Fault, files: list[str]) -> None:
    """Only in the child: hand out the changed source, run the tests, never return."""
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    read = importlib.machinery.SourceFileLoader.get_data

    def get_data(self: Any, path: str) -> bytes:
        if path.endswith(".pyc"):
            raise OSError  # compile anew
        return fault.source.encode() if Path(path) == fault.path else read(self, path)

    importlib.machinery.SourceFileLoader.get_data = get_data  # type: ignore[method-assign]
    status = 1
    try:
        status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files]))
    finally:
        os._exit(0 if status == 0 else 1)


def difference(fault: Fault) -> str:
    """The changed lines."""
    before = fault.path.read_text(encoding="utf-8").splitlines()
    lines = difflib.unified_diff(before, fault.source.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def report(faults: list[Fault], outcomes: list[str], seed: int) -> dict[str, Any]:
    """Counts by part, the score, and every fault that no test noticed."""
    parts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for fault, outcome in zip(faults, outcomes, strict=False):
        parts[fault.path.relative_to(SOURCE).parts[0].removesuffix(".py")][outcome] += 1
    noticed = sum(outcome != "survived" for outcome in outcomes)
    return {
        "command": f"python scripts/mutation_score.py --number {len(faults)} --seed {seed}",
        "date": datetime.now(UTC).date().isoformat(),
        "tool": "cosmic-ray 8.7.0 operators",
        "score": {
            "noticed": noticed,
            "tried": len(outcomes),
            "share": round(noticed / max(1, len(outcomes)), 3),
        },
        "parts": parts,
        "survivors": [
            {
                "file": str(fault.path.relative_to(SOURCE)),
                "line": fault.line,
                "operator": fault.operator,
                "change": difference(fault).splitlines(),
            }
            for fault, outcome in zip(faults, outcomes, strict=False)
            if outcome == "survived"
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
