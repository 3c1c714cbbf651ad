"""What imports what, and what an import may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "llmbook"

LAYERS = [
    {"config", "device", "files", "language", "resampling"},
    {"nn", "tokenizers", "plot", "describe"},
    {"models", "datasets"},
    {"objectives", "generate", "lora", "weights"},
    {"quantize"},
    {"decode"},
    {"train", "evaluate"},
    {"about", "cli_models", "cli_chat"},
    {"cli"},
    {"__main__"},
]
BESIDE = {"exercises", "web"}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
CORE = {"torch", "numpy", "safetensors", "jaxtyping", "regex", "tqdm", "matplotlib"}

# Runs in a fresh interpreter. Blocks the network, and every package outside the core (a package
# of the core brings others along, which are allowed to it and not to us: only imports that
# llmbook's own files ask for are judged).
IMPORT_ALL = """
import importlib, pkgutil, socket, sys
import builtins
allowed = {core!r} | set(sys.stdlib_module_names) | {{"llmbook"}}
def refuse(*args, **kwargs):
    raise AssertionError("the network was used while importing")
socket.socket.connect = refuse
socket.create_connection = refuse
socket.getaddrinfo = refuse
real_import = builtins.__import__
def checked(name, globals=None, locals=None, fromlist=(), level=0):
    asking = (globals or {{}}).get("__name__", "")
    if level == 0 and asking.split(".")[0] == "llmbook" and name.split(".")[0] not in allowed:
        raise ImportError(asking + " imports " + name + ", which is not in the core")
    return real_import(name, globals, locals, fromlist, level)
builtins.__import__ = checked
import llmbook
for module in pkgutil.walk_packages(llmbook.__path__, "llmbook."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print("imported")
"""


def modules() -> list[tuple[str, Path]]:
    """Return (top-level part, file) of every module of the package."""
    files = [path for path in SRC.rglob("*.py") if path != SRC / "__init__.py"]
    return [(path.relative_to(SRC).parts[0].removesuffix(".py"), path) for path in files]


def imported_parts(path: Path) -> set[str]:
    """Return the parts of llmbook that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    parts = {name.split(".")[1] for name in names if name.startswith("llmbook.")}
    return {part for part in parts if part in LEVEL or part in BESIDE}


def test_every_part_of_the_package_has_its_place_in_the_order():
    unknown = {part for part, _ in modules()} - set(LEVEL) - BESIDE
    assert not unknown, "add it to LAYERS, and to the list in CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("part", "path"), modules(), ids=[str(path.relative_to(SRC)) for _, path in modules()]
)
def test_imports_point_one_way(part, path):
    for other in imported_parts(path) - {part}:
        if other in BESIDE:
            assert part in {"cli", "about", "exercises"}, f"{part} must not know {other}"
        elif part not in BESIDE:
            assert LEVEL[other] < LEVEL[part], f"{part} imports {other}"


def test_no_relative_imports_hide_the_direction():
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_every_module_imports_with_the_core_alone_and_without_a_network():
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL.format(core=CORE)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == "imported"


def test_nothing_is_unpickled():
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"pickle", "dill", "joblib"}, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("torch", "load"), path
