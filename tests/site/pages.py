"""Which pages the site has, read from the table of contents, and their links."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"


def _files(entry: object) -> list[str]:
    """Every `file` and `root` below an entry of the table of contents, in order."""
    if isinstance(entry, list):
        return [name for item in entry for name in _files(item)]
    if not isinstance(entry, dict):
        return []
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + [name for value in entry.values() for name in _files(value)]


def toc_pages() -> list[str]:
    """The paths of the pages below _build/html, in reading order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [f"{name}.html" for name in _files(toc)]


def translated_pages() -> list[str]:
    """The paths of the pages that are promised complete in another language."""
    names = (ROOT / "book" / "locale" / TRANSLATION / "complete.txt").read_text("utf-8").split()
    return [f"{TRANSLATION}/{name}.html" for name in names]


TRANSLATION = "zh_CN"
STATUS = f"{TRANSLATION}/book/translation.html"
PAGES = toc_pages()
TRANSLATED = translated_pages()
WRITTEN = [*PAGES, *TRANSLATED]
ALL_PAGES = [*WRITTEN, STATUS, "search.html", f"{TRANSLATION}/search.html"]

LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src",
          "audio": "src", "embed": "src", "object": "data"}  # fmt: skip


@dataclass
class Links(HTMLParser):
    """The addresses that a page holds: those it links to, those it loads, and its anchors."""

    linked: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one element links to, loads, or names."""
        values = {name: value or "" for name, value in attrs}
        self.anchors.update(values[name] for name in ("id", "name") if values.get(name))
        if tag == "a" and values.get("href"):
            self.linked.append(values["href"])
        elif tag == "link" and values.get("href") and values.get("rel") != "canonical":
            self.loaded.append(values["href"])
        elif values.get(LOADED.get(tag, "")):
            self.loaded.append(values[LOADED[tag]])


def links_of(path: Path) -> Links:
    """Parse one built page."""
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links
