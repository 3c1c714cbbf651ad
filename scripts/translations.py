"""Bring the catalogues of the translation up to date, and say how much of each page is translated.

    python scripts/translations.py            # extract, update, report
    python scripts/translations.py --report   # report alone

Sphinx's gettext builder extracts the pages, babel the words of the site's extension; what the
package says comes from `extract_messages.py`. A translation is never lost: a message that has
changed keeps its old translation, marked fuzzy, until somebody has looked at it. A second run
changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

from catalogues import LANGUAGES, ROOT, Progress, folder, messages, progress, read, write

TEMPLATES = ROOT / "_build" / "gettext"
MARK = TEMPLATES / "sources.sha256"
EXTENSION = ROOT / "book" / "_ext"
SITE_WORDS = "sphinx"  # the domain in which Sphinx looks up the words of templates and extensions


def sources() -> list[Path]:
    """Every file that messages of pages come from."""
    found = [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("book/*.md"), ROOT / "_toc.yml"]
    found += [ROOT / "_config.yml", *ROOT.glob("book/_ext/**/*.py")]
    return sorted([*found, *ROOT.glob("book/_templates/**/*.html")])


def extract_pages() -> None:
    """Extract the messages of every page into _build/gettext, unless no source has changed."""
    contents = (path.name.encode() + path.read_bytes() for path in sources())
    digest = hashlib.sha256(b"\0".join(contents)).hexdigest()
    if MARK.exists() and MARK.read_text(encoding="utf-8") == digest:
        return
    command = [sys.executable, "scripts/sphinx_book.py", "gettext"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The pages could not be read.\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    MARK.write_text(digest, encoding="utf-8")


def page_names() -> list[str]:
    """The pages of the table of contents, without ending, in reading order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


def page_template(name: str) -> Catalog:
    """The messages of one page, with its file as the place of each."""
    source = next(p for p in (f"{name}.md", f"{name}.ipynb") if (ROOT / p).exists())
    template = Catalog()
    for message in messages(read(TEMPLATES / f"{name}.pot")):
        template.add(message.id, locations=[(source, 0)])
    return template


def site_template() -> Catalog:
    """The words of templates, extension, configuration and table of contents."""
    template = Catalog()
    for message in messages(read(TEMPLATES / f"{SITE_WORDS}.pot")):
        place = re.sub(r"^.*?(?=book/_templates/)", "", message.locations[0][0])
        template.add(message.id, locations=[(place, 0)])
    for name, _, words, _, _ in extract_from_dir(EXTENSION):
        place = (EXTENSION / name).relative_to(ROOT).as_posix()
        template.add(words, locations=[(place, 0)])
    for place, word in configured_words():
        template.add(word, locations=[(place, 0)])
    return template


def configured_words() -> Iterable[tuple[str, str]]:
    """What readers see of `_config.yml` and `_toc.yml`: (file, words)."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    site = config["sphinx"]["config"]
    options = site["html_theme_options"]
    words = [config["title"], config["author"], *site["numfig_format"].values()]
    yield from (("_config.yml", word) for word in words)
    yield from (("_config.yml", options[key]) for key in ("toc_title", "search_bar_text"))
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]:
        yield "_toc.yml", part["caption"]
        yield from (("_toc.yml", entry["title"]) for entry in part["chapters"] if "title" in entry)


def package_words() -> dict[str, Catalog]:
    """What the package and the chapters' outputs say, by domain."""
    import extract_messages

    return extract_messages.templates()


def compile_package_words() -> None:
    """Bring the compiled catalogue that the package reads up to date."""
    import extract_messages

    extract_messages.write_compiled()


def templates() -> dict[str, Catalog]:
    """All messages as the sources have them now, by domain."""
    extract_pages()
    pages = {name: page_template(name) for name in page_names()}
    return pages | {SITE_WORDS: site_template()} | package_words()


def update(path: Path, template: Catalog, language: str) -> bool:
    """Bring one catalogue up to date; return whether its file was written."""
    catalogue = read(path, language)
    catalogue.update(template, update_creation_date=False)
    for key in [k for k, message in catalogue.obsolete.items() if not message.string]:
        del catalogue.obsolete[key]
    return write(path, catalogue, language)


def report(language: str, names: Iterable[str]) -> str:
    """A line for each catalogue, and their sum."""
    lines = [f"{'page':<38} {'messages':>8} {'done':>6} {'stale':>6} {'missing':>8} {'share':>6}"]
    total = Progress()
    for name in names:
        counts = progress(read(folder(language) / f"{name}.po", language))
        for key in ("done", "stale", "missing"):
            setattr(total, key, getattr(total, key) + getattr(counts, key))
        lines.append(row(name, counts))
    return "\n".join([*lines, row(f"all of {language}", total)])


def row(name: str, counts: Progress) -> str:
    """One line of the report; a page with some, but not all messages is never 0 % or 100 %."""
    share = f"{min(counts.share * 100, 99) if counts.share < 1 else 100:.0f} %"
    return (
        f"{name:<38} {counts.total:>8} {counts.done:>6} {counts.stale:>6} {counts.missing:>8} "
        f"{share:>6}"
    )


def main() -> int:
    """Update and report."""
    if "--report" not in sys.argv:
        found = templates()
        for language in LANGUAGES:
            root = folder(language)
            written = [n for n, t in found.items() if update(root / f"{n}.po", t, language)]
            print(f"{language}: {len(written)} of {len(found)} catalogues were brought up to date")
        compile_package_words()
    for language in LANGUAGES:
        root = folder(language)
        on_disk = (p.relative_to(root).with_suffix("").as_posix() for p in root.rglob("*.po"))
        names = dict.fromkeys([*page_names(), *sorted(on_disk)])
        print(report(language, (name for name in names if (root / f"{name}.po").exists())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
