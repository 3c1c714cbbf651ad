"""Comparing two ways of doing the same work on a machine that others share.

Both ways run in turn, A B A B, in one process and one thread, and CPU-seconds are counted: what
disturbs one disturbs the other, and the ratio of each pair is robust where a clock is not.
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
    ours: Callable[[], object], peer: Callable[[], object], rounds: int = 7
) -> dict[str, Any]:
    """CPU-seconds of both, in turn, after one unmeasured round of each.

    Returns:
        Medians and ranges in CPU-seconds, and the median and range of peer / ours.
    """
    ours()
    peer()
    pairs = [(_cpu_seconds(ours), _cpu_seconds(peer)) for _ in range(rounds)]
    return {
        "rounds": rounds,
        "ours": _summary([a for a, _ in pairs]),
        "peer": _summary([b for _, b in pairs]),
        "speedup": _summary([b / a for a, b in pairs]),
    }


def run(name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Read the command line, measure, print, and write JSON with machine, versions and date."""
    parser = argparse.ArgumentParser(description=f"benchmark: {name}")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = {
        "benchmark": name,
        "command": f"python -m benchmarks.{name} --json FILE",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.backends.cpu.get_cpu_capability()}, one thread",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        **work(),
    }
    text = json.dumps(result, indent=1) + "\n"
    if arguments.json:
        write_atomically(arguments.json, text.encode())
    print(text, end="")


def _cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "median": float(f"{statistics.median(values):.4g}"),
        "low": float(f"{min(values):.4g}"),
        "high": float(f"{max(values):.4g}"),
    }
