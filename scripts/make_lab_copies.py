"""Lay fresh copies of the chapters in my/, and never touch a copy that has been worked on.

    python scripts/make_lab_copies.py [NN …]
    python scripts/make_lab_copies.py --fresh [NN …]   # sets the old copies aside first

my/.sources.json remembers which version of a chapter each copy began as, so that a copy
nobody has changed follows the chapter when the chapter improves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from datetime import datetime
from pathlib import Path

from run_notebooks import find_chapters

ROOT = Path(__file__).resolve().parent.parent
MY = ROOT / "my"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def set_aside(path: Path) -> Path:
    """Move a learner's copy to my/old/, under a name with the date and time."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    kept = path.parent / "old" / f"{path.stem}-{stamp}{path.suffix}"
    kept.parent.mkdir(exist_ok=True)
    shutil.move(path, kept)
    return kept


def place_copy(chapter: Path, started_as: dict[str, str], fresh: bool) -> str:
    """Bring one copy up to date where that loses nothing; return what happened."""
    copy = MY / chapter.name
    current = digest(chapter)
    if copy.exists():
        unchanged = digest(copy) == started_as.get(chapter.name)
        if fresh and not unchanged:
            print(f"{copy.name}: your copy is kept as my/old/{set_aside(copy).name}")
        elif not unchanged:
            return "kept"
        elif started_as[chapter.name] == current:
            return "same"
    shutil.copyfile(chapter, copy)
    started_as[chapter.name] = current
    return "copied"


def main() -> None:
    """Copy, and say in a line or two what was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--fresh", action="store_true", help="new copies; old ones are set aside")
    parser.add_argument("chapter", nargs="*")
    arguments = parser.parse_args()
    MY.mkdir(exist_ok=True)
    memory = MY / ".sources.json"
    started_as = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    chapters = find_chapters(arguments.chapter)
    done = {path.name: place_copy(path, started_as, arguments.fresh) for path in chapters}
    memory.write_text(json.dumps(started_as, indent=1) + "\n", encoding="utf-8")
    kept = [name for name, what in done.items() if what == "kept"]
    if kept:
        print(f"Your work in my/ was kept: {', '.join(kept)}. For new copies: make lab FRESH=1")


if __name__ == "__main__":
    main()
