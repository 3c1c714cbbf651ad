"""Plant small faults in the engine, one at a time, and count how many the unit tests notice.

    pip install cosmic-ray==8.7.0
    python scripts/mutation_score.py --json results/mutation.json

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
    "models": "gpt engine_parts bert minilm seq2seq parity ngram",
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
    """Draw, try and count, part by part; write after each fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=50, help="faults in each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--json", type=Path, help="parts tried in earlier runs stay in the file")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.dont_write_bytecode = True
    tests = ROOT / "tests" / "support"
    sys.path[:0] = [str(ROOT / "src"), str(ROOT), str(ROOT / "scripts"), str(tests)]
    for name in HEAVY:
        __import__(name)
    parts: dict[str, Any] = {}
    if options.json and options.json.exists():
        parts = json.loads(options.json.read_text())["parts"]
    for part in options.part:
        faults = draw_faults(part, options.number, options.seed)
        sound = Fault(faults[0].path, "none", 0, faults[0].path.read_text(encoding="utf-8"))
        if try_fault(part, sound) != "survived":
            sys.exit(f"the tests of {part} fail without a fault: mend them first")
        outcomes: list[str] = []
        for fault in faults:
            outcomes.append(try_fault(part, fault))
            where = f"{fault.path.relative_to(SOURCE)}:{fault.line}"
            print(f"{len(outcomes)}/{len(faults)} {outcomes[-1]:9} {where}  {fault.operator}")
            if outcomes[-1] == "survived":
                print(difference(fault))
            sys.stdout.flush()
            parts[part] = report(faults, outcomes)
            if options.json:
                write(options.json, parts, options.seed)
    return 0


def draw_faults(part: str, number: int, seed: int) -> list[Fault]:
    """A random sample of places, and for each a random fault that can change what runs."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import get_ast
    from cosmic_ray.mutating import mutate_code

    places: dict[tuple[Path, Any], list[tuple[str, int]]] = defaultdict(list)
    for path in sorted((SOURCE / part).rglob("*.py")):
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


def try_fault(part: str, fault: Fault) -> str:
    """Run the part's tests on the changed source in a fork: killed, survived or timeout."""
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


def report(faults: list[Fault], outcomes: list[str]) -> dict[str, Any]:
    """Counts of one part, and every fault that no test noticed."""
    return {
        "tried": len(outcomes),
        "killed": outcomes.count("killed"),
        "timeout": outcomes.count("timeout"),
        "survived": outcomes.count("survived"),
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


def write(path: Path, parts: dict[str, Any], seed: int) -> None:
    """The whole result, as far as it goes."""
    tried = sum(part["tried"] for part in parts.values())
    survived = sum(part["survived"] for part in parts.values())
    result = {
        "command": f"python scripts/mutation_score.py --seed {seed} --json FILE",
        "date": datetime.now(UTC).date().isoformat(),
        "faults_by": "cosmic-ray 8.7.0",
        "tried": tried,
        "noticed": tried - survived,
        "score": round((tried - survived) / tried, 3),
        "parts": parts,
    }
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
