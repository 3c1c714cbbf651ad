"""Build the site strictly, in every language: any warning or dead link is an error.

    python scripts/build_site.py          # _build/html, and _build/html/zh_CN
    python scripts/build_site.py zh_CN    # one language

The whole report of a language is in _build/site-LANGUAGE.log; what is printed is its warnings and
the closing line. Languages are built one after another: each takes one processor core.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from sphinx_book import LANGUAGES, output

ROOT = Path(__file__).resolve().parent.parent
PROBLEM = re.compile(r"(WARNING|ERROR|CRITICAL|Traceback|Error:|Exception)")


def log(language: str) -> Path:
    """Where the report of a build is kept."""
    return ROOT / "_build" / f"site-{language}.log"


def stamp(language: str) -> Path:
    """The file that remembers when a language was built; the Makefile knows its name."""
    return ROOT / "_build" / f"site-stamp-{language}"


def build(language: str) -> tuple[int, str]:
    """Run the build of one language; return its exit status and its report."""
    log(language).parent.mkdir(exist_ok=True)
    command = [sys.executable, "scripts/sphinx_book.py", "html", language]
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    report = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout.decode("utf-8", errors="replace"))
    log(language).write_text(report, encoding="utf-8")
    return result.returncode, report


def problems(report: str) -> list[str]:
    """Return the lines of a report that tell of something wrong, each once."""
    lines = [line for line in report.splitlines() if PROBLEM.search(line)]
    return list(dict.fromkeys(line.replace(f"{ROOT}/", "") for line in lines))


def pages(language: str) -> int:
    """How many pages the site of a language has."""
    folder = output("html", language)
    others = {output("html", other) for other in LANGUAGES} - {folder, *folder.parents}
    found = (path for path in folder.rglob("*.html") if "_static" not in path.parts)
    return sum(not others & set(path.parents) for path in found)


def build_and_tell(language: str) -> bool:
    """Build one language and say how it went."""
    start = time.time()
    code, report = build(language)
    if code:
        found = problems(report)
        print("\n".join(found or report.splitlines()[-20:]), file=sys.stderr)
        where = log(language).relative_to(ROOT)
        print(f"The site ({language}) was not built. The whole report: {where}", file=sys.stderr)
        return False
    stamp(language).touch()
    # What was edited while building is newer than the stamp.
    os.utime(stamp(language), (start, start))
    print(f"Built {pages(language)} pages ({language}) in {time.time() - start:.0f} s", flush=True)
    return True


def main() -> int:
    """Build the languages named on the command line, or all."""
    wanted = sys.argv[1:] or list(LANGUAGES)
    unknown = [name for name in wanted if name not in LANGUAGES]
    if unknown:
        sys.exit(f"The book has no language {unknown[0]}. There are: {', '.join(LANGUAGES)}")
    built = [build_and_tell(language) for language in wanted]
    return 0 if all(built) else 1


if __name__ == "__main__":
    sys.exit(main())
