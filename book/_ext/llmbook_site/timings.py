"""The tables of the page "Hardware and timings", made from `results/` when the book is built.

The page holds a marker for each table: `<!-- table: comparisons -->`. So no number on it can
differ from the recorded one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[3]
PAGE = "book/hardware_and_timings"
RESULTS = ROOT / "results"
ORDER = ("speedrun", "generation", "training", "bpe", "loading")
"""First words of benchmarks in the order of the table; others follow by name."""


def benchmarks() -> list[dict[str, Any]]:
    """The recorded results, in the order of the page, without the ablations."""
    found = [json.loads(path.read_text("utf-8")) for path in RESULTS.glob("bench_*.json")]
    found = [result for result in found if "ablations" not in result]
    place = {name: i for i, name in enumerate(ORDER)}

    def key(result: dict[str, Any]) -> tuple[int, str]:
        name = result["benchmark"]
        return place.get(name.split("_")[0], len(ORDER)), name

    return sorted(found, key=key)


def rows_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of one result: its rows, or itself where it holds a single measurement."""
    rows = result.get("rows", [result])
    return [row for row in rows if "work" in row and ("speedup" in row or "gap" in row)]


def comparison_table() -> str:
    """Every measurement: work and peer, both sides' seconds, ratio with range, goal."""
    lines = ["| Work | Ours, CPU-s | Theirs, CPU-s | Faster by | Goal |", "|---|---|---|---|---|"]
    for result in benchmarks():
        for row in rows_of(result):
            beside = row.get("against") or row.get("peer_version", "")
            parts = [row["work"], f"beside {beside}" if beside else "", row.get("note", "")]
            cell = "<br>".join(part for part in parts if part)
            ours, theirs = (_side(row[side], row.get("unit")) for side in ("ours", "peer"))
            lines.append(f"| {_wide(cell)} | {ours} | {theirs} | {_ratio(row)} | {_goal(row)} |")
    return "\n".join(lines)


def machine_table() -> str:
    """Where, when and how each benchmark ran."""
    lines = ["| Command | Date | Machine | Versions |", "|---|---|---|---|"]
    for result in benchmarks():
        versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        command = result["command"].replace("--json FILE", "").strip()
        lines.append(f"| `{command}` | {result['date']} | {result['machine']} | {versions} |")
    return "\n".join(lines)


def ablation_table() -> str:
    """What the speed run loses without each of its tricks."""
    path = RESULTS / "bench_speedrun_ablations.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text("utf-8"))
    lines = ["| Recipe | Loss | Loss it costs | CPU-seconds |", "|---|---|---|---|"]
    for entry in result["ablations"]:
        cost = "" if entry["cost"] is None else f"{entry['cost']:+.3f}"
        name, loss, seconds = _wide(entry["name"]), entry["loss"], entry["cpu_seconds"]
        lines.append(f"| {name} | {loss:.3f} | {cost} | {seconds:.1f} |")
    return "\n".join(lines)


def chapter_table() -> str:
    """Seconds and memory of each chapter, from the last time all were executed."""
    chapters = json.loads((RESULTS / "notebooks.json").read_text("utf-8"))["chapters"]
    lines = ["| Chapter | Seconds | Peak memory, MB | Date |", "|---|---|---|---|"]
    for name, entry in sorted(chapters.items()):
        lines.append(
            f"| {int(name[:2])}. {_title(name)} | {entry['seconds']:.0f} | "
            f"{entry['peak_mb']} | {entry['date']} |"
        )
    return "\n".join(lines)


TABLES = {
    "comparisons": comparison_table,
    "machines": machine_table,
    "ablations": ablation_table,
    "chapters": chapter_table,
}


def render(page: str) -> str:
    """The page with each marker replaced by its table.

    Raises:
        ValueError: a marker that names no table.
    """

    def table(match: re.Match[str]) -> str:
        if match[1] not in TABLES:
            raise ValueError(f"no table {match[1]!r}: choose one of {sorted(TABLES)}")
        return TABLES[match[1]]()

    return re.sub(r"<!-- table: (\w+) -->", table, page)


def read(app: Sphinx, name: str, content: list[str]) -> None:
    """Fill the page as it is read, and read it again whenever a result has changed."""
    if name == PAGE and app.builder.format == "html":  # its numbers are no words to translate
        for path in [*RESULTS.glob("bench_*.json"), RESULTS / "notebooks.json"]:
            app.env.note_dependency(str(path))
        content[0] = render(content[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)


def _title(chapter: str) -> str:
    cells = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text("utf-8"))["cells"]
    lines = "".join(cells[0]["source"]).splitlines()
    return next(line[2:].strip() for line in lines if line.startswith("# "))


def _wide(cell: str) -> str:
    """A cell of sentences keeps its width on a phone, where the table scrolls inside its box."""
    return f'<span style="display: inline-block; min-width: 14rem">{cell}</span>'


def _side(values: dict[str, float], unit: str | None) -> str:
    return f"{values['median']:.3g}" if unit is None else f"{values['median']:.4g} {unit}"


def _ratio(row: dict[str, Any]) -> str:
    if "gap" in row:
        gap = row["gap"]
        return f"{gap['median']:.3f} ({_range(gap, '.3f')}) less"
    return f"{row['speedup']['median']:.2f}× ({_range(row['speedup'], '.2f')})"


def _range(values: dict[str, float], form: str) -> str:
    low, high = (format(values[end], form) for end in ("low", "high"))
    return low if low == high else f"{low}–{high}"


def _goal(row: dict[str, Any]) -> str:
    goal = row.get("goal")
    if goal is None:
        return "reported"
    verdict = "reached" if row["speedup"]["median"] >= goal else "missed"
    wanted = f"{goal:.3g}×" if goal >= 1 else f"at most {1 / goal:.3g}× slower"
    return f"{wanted}: {verdict}"
