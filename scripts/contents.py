"""Read the table of contents (_toc.yml) and the repository's address (_config.yml)."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def pages(toc: dict) -> list[tuple[str, str]]:
    """Return (part, page) in reading order; the part of the first pages is empty."""
    found = [("", toc["root"])]
    for part in toc.get("parts", [{"chapters": toc.get("chapters", [])}]):
        for chapter in part["chapters"]:
            found += [(part.get("caption", ""), page) for page in _with_sections(chapter)]
    return found


def _with_sections(entry: dict) -> list[str]:
    inner = [page for section in entry.get("sections", []) for page in _with_sections(section)]
    return ([entry["file"]] if "file" in entry else []) + inner


def read_contents() -> list[tuple[str, str]]:
    """Return (part, page) of the book in reading order; a page is a path without its ending."""
    return pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))


def repository() -> tuple[str, str]:
    """Return the address and branch that the site's owner set; the address may be empty."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    setting = config.get("repository") or {}
    return (setting.get("url") or "").rstrip("/"), setting.get("branch") or "main"
