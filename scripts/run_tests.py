"""Run every check, one after another, and close with a table and one line.

    python scripts/run_tests.py                # everything
    python scripts/run_tests.py unit chapters  # some stages

A stage that fails does not stop the others; the exit status is 1 if any failed. With
CI=true a skipped browser test counts as failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from browser import ADVICE, find_browser, install_browser
from run_notebooks import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"]
TWO_WORKERS = ["-n", "2", "--dist", "loadfile"]
# Each value is the argument list of this Python.
STAGES: dict[str, list[str]] = {
    "ruff": ["-m", "ruff", "check", "--quiet", "--output-format=concise", "."],
    "format": ["-m", "ruff", "format", "--check", "--output-format=concise", "."],
    "mypy": ["-m", "mypy", "--no-error-summary"],
    "unit": [*PYTEST, *TWO_WORKERS, "tests/unit"],
    "project": [*PYTEST, "tests/project", "tests/notebooks"],
    "chapters": [
        *PYTEST,
        *TWO_WORKERS,
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=300",
        "--nbval-sanitize-with=tests/notebooks/sanitize.cfg",
        "notebooks",
    ],
    "book": ["scripts/build_site.py"],
    "site": [*PYTEST, "tests/site"],
}


def run_stage(name: str) -> tuple[bool, float]:
    """Run one stage with its output shown; return whether it passed, and its seconds."""
    print(f"\n── {name} " + "─" * (74 - len(name)), flush=True)
    if name == "site" and find_browser() is None and install_browser() is None:
        print(ADVICE, flush=True)
    start = time.perf_counter()
    command = [sys.executable, *STAGES[name]]
    code = subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, check=False).returncode
    return code == 0, time.perf_counter() - start


def main() -> int:
    """Run the stages named on the command line, or all of them."""
    names = sys.argv[1:] or list(STAGES)
    unknown = set(names) - set(STAGES)
    if unknown:
        sys.exit(f"No stage {', '.join(sorted(unknown))}. There are: {', '.join(STAGES)}")
    results = {name: run_stage(name) for name in names}
    print("\n" + "─" * 78)
    for name, (passed, seconds) in results.items():
        print(f"{name:<10} {'passed' if passed else 'FAILED':<8} {seconds:6.0f} s")
    failed = [name for name, (passed, _) in results.items() if not passed]
    total = sum(seconds for _, seconds in results.values())
    if failed:
        print(
            f"FAILED: {', '.join(failed)} ({len(failed)} of {len(results)} stages, {total:.0f} s)"
        )
        return 1
    print(f"All {len(results)} stages passed in {total:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
