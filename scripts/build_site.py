"""Build the site strictly into _build/html: any warning, dead link or failed notebook is an error.

    python scripts/build_site.py

The whole report is in _build/site.log; what is printed is its warnings and the closing line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "_build" / "site.log"
STAMP = ROOT / "_build" / "site-stamp"
JUPYTER_BOOK = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
PROBLEM = re.compile(r"(WARNING|ERROR|CRITICAL|Traceback|Error:|Exception)")


def build() -> tuple[int, str]:
    """Run the build; return its exit status and its report."""
    LOG.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", ".", "-W", "--keep-going"]
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    report = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout.decode("utf-8", errors="replace"))
    LOG.write_text(report, encoding="utf-8")
    return result.returncode, report


def problems(report: str) -> list[str]:
    """Return the lines of a report that tell of something wrong, each once."""
    lines = [line for line in report.splitlines() if PROBLEM.search(line)]
    return list(dict.fromkeys(line.replace(f"{ROOT}/", "") for line in lines))


def main() -> int:
    """Build and say how it went."""
    start = time.time()
    code, report = build()
    seconds = time.time() - start
    if code:
        found = problems(report)
        print("\n".join(found or report.splitlines()[-20:]), file=sys.stderr)
        print(f"The site was not built. The whole report: {LOG.relative_to(ROOT)}", file=sys.stderr)
        return 1
    STAMP.touch()
    os.utime(STAMP, (start, start))  # what was edited while building is newer than the stamp
    pages = len(list((ROOT / "_build" / "html").rglob("*.html")))
    print(f"Built {pages} pages in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
