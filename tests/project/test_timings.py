"""The page "Hardware and timings" says what `results/` holds, goals that were missed included."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "hardware_and_timings.md"
FILES = sorted((ROOT / "results").glob("bench_*.json"))


@pytest.fixture(scope="module")
def timings():
    path = ROOT / "book" / "_ext" / "llmbook_site" / "timings.py"
    spec = importlib.util.spec_from_file_location("timings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(timings):
    return timings.render(PAGE.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_recorded_comparison_stands_on_the_page_with_its_figures(path, timings, page):
    result = json.loads(path.read_text("utf-8"))
    if "ablations" in result:
        return
    rows = timings.rows_of(result)
    assert rows, "a result without a single comparison"
    for row in rows:
        lines = [line for line in page.splitlines() if f">{row['work']}<" in line]
        shown = [f"{row['ours']['median']:.3g}", f"{row['peer']['median']:.3g}"]
        if "speedup" in row:
            shown += [f"{row['speedup'][key]:.2f}" for key in ("median", "low", "high")]
        else:
            shown = [f"{row['gap'][key]:.3f}" for key in ("median", "low", "high")]
        assert any(all(figure in line for figure in shown) for line in lines), row["work"]
    assert result["date"] in page
    assert result["machine"] in page
    assert all(version in page for version in result["versions"].values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_names_its_command_date_machine_and_versions(path):
    result = json.loads(path.read_text("utf-8"))
    assert result["command"] == f"python -m benchmarks.{result['benchmark']} --json FILE"
    assert (ROOT / "benchmarks" / f"{result['benchmark']}.py").exists()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", result["date"])
    assert {"python", "torch"} <= result["versions"].keys()
    assert result["machine"]


def test_the_speed_run_reached_its_target_with_every_seed():
    path = ROOT / "results" / "bench_speedrun.json"
    result = json.loads(path.read_text("utf-8"))
    assert len(result["fast"]) == 3
    assert all(run["loss"] <= result["target"] for run in result["fast"])
    assert result["target"] == min(run["loss"] for run in result["textbook"])


def test_a_missed_goal_is_called_missed(timings):
    row = {"goal": 2.0, "speedup": {"median": 1.9, "low": 1.8, "high": 2.2}}
    assert timings._goal(row) == "2×: missed"
    row["speedup"]["median"] = 2.0
    assert timings._goal(row) == "2×: reached"
    assert timings._goal({**row, "goal": 1 / 3}) == "at most 3× slower: reached"
    assert timings._goal({**row, "goal": None}) == "reported"


def test_a_marker_that_names_no_table_is_refused(timings):
    with pytest.raises(ValueError, match="no table 'weather'"):
        timings.render("<!-- table: weather -->")


def test_every_table_has_its_place_on_the_page(timings):
    found = re.findall(r"<!-- table: (\w+) -->", PAGE.read_text("utf-8"))
    assert sorted(found) == sorted(timings.TABLES)
    assert "<!--" not in timings.render(PAGE.read_text("utf-8"))
