"""Comparing two ways of doing the same work on a machine that others share.

Both ways run in turn, A B A B, in one process and one thread, and CPU-seconds are counted: what
disturbs one disturbs the other, and the ratio of each pair is robust where a clock is not.

A result holds `rows`, each one line of the book's table "Hardware and timings": `row` makes one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from llmbook.files import write_atomically


def compare(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int = 7,
    warm_up: bool = True,
) -> dict[str, Any]:
    """CPU-seconds of both, in turn, after one unmeasured round of each (unless told otherwise).

    Returns:
        Medians and ranges in CPU-seconds, and the median and range of peer / ours.
    """
    if warm_up:
        ours()
        peer()
    pairs = [(cpu_seconds(ours), cpu_seconds(peer)) for _ in range(rounds)]
    return {
        "rounds": rounds,
        "ours": summary([a for a, _ in pairs]),
        "peer": summary([b for _, b in pairs]),
        "speedup": summary([b / a for a, b in pairs]),
    }


def row(
    work: str, against: str, goal: float | None, measured: dict[str, Any], note: str = ""
) -> dict[str, Any]:
    """One line of the book's table.

    Args:
        work: what is done, with its sizes.
        against: the peer with its version.
        goal: how many times faster ours is meant to be (below 1: allowed to be slower); None
            where a figure is only reported.
        measured: `ours`, `peer` and `speedup`, as `compare` returns them.
        note: what a reader must know: what differs, or why a goal was missed.
    """
    return {"work": work, "against": against, "goal": goal, "note": note, **measured}


def run(name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Read the command line, measure, print, and write JSON with machine, versions and date."""
    parser = argparse.ArgumentParser(description=f"benchmark: {name}")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    result = {
        "benchmark": name,
        "command": f"python -m benchmarks.{name} --json FILE",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        **work(),
    }
    text = json.dumps(result, indent=1) + "\n"
    if arguments.json:
        write_atomically(arguments.json, text.encode())
    print(text, end="")


def machine() -> str:
    """The processor, as far as the system names it, and what of it is used."""
    model = platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        names = [s for s in listing.read_text().splitlines() if s.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    extra = ", AMX" if torch.cpu._is_amx_tile_supported() else ""
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, "
        f"{torch.backends.cpu.get_cpu_capability()}{extra}, one thread"
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of this process while it does the work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def summary(values: list[float]) -> dict[str, float]:
    """Median and range, four digits."""
    return {
        "median": float(f"{statistics.median(values):.4g}"),
        "low": float(f"{min(values):.4g}"),
        "high": float(f"{max(values):.4g}"),
    }
