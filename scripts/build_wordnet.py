"""Build the book's excerpt of WordNet 3.0; the result is committed for the readers.

    python scripts/build_wordnet.py            # write src/llmbook/assets/wordnet/
    python scripts/build_wordnet.py --check    # rebuild in memory, compare with the files

Needs apt and dpkg-deb (Debian), which fetch and open the package wordnet-base 1:3.0-37. Of each
word in WORDS the excerpt holds every sense, in WordNet's order, with its synonyms, gloss, how often
it was met in the texts that its makers annotated, the glosses of the synsets directly above and
below, and the chain of synsets up to the top. Used in chapter 2.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from building import command_line, fetch

OUT = Path(__file__).parents[1] / "src/llmbook/assets/wordnet"
NAME = "senses.json"
PACKAGE = "wordnet-base=1:3.0-37"
FILE = "wordnet-base_1%3a3.0-37_all.deb"
SHA256 = "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"
WORDS = {
    "noun": "bank bass duck organ palm plant race saw spring telescope".split(),
    "verb": "duck saw see".split(),
}
PARTS = {"noun": 1, "verb": 2}


def main() -> int:
    return command_line(__doc__, build_from, OUT)


def build_from(folder: Path) -> dict[str, bytes]:
    """The committed files by name; `folder` keeps the package."""
    deb = fetch(["apt-get", "download", PACKAGE], folder / FILE, SHA256)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["dpkg-deb", "-x", deb.resolve(), scratch], check=True)
        return build(Path(scratch) / "usr/share")


def build(share: Path) -> dict[str, bytes]:
    """The committed files by name."""
    excerpt = {
        f"{word}.{part}": senses(share / "wordnet", word, part)
        for part, words in WORDS.items()
        for word in words
    }
    raw = (json.dumps(excerpt, indent=1, ensure_ascii=False) + "\n").encode()
    manifest = {
        "format": "word.part of speech → senses: lemmas, gloss, count, chain, above, below",
        "file": NAME,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "package": {"name": "wordnet-base", "version": "1:3.0-37", "registry": "Debian"},
        "file_sha256": SHA256,
        "licence": "WordNet 3.0",
        "senses": {name: len(found) for name, found in excerpt.items()},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    licence = (share / "doc/wordnet-base/copyright").read_text(encoding="utf-8")
    return {NAME: raw, "manifest.json": text.encode(), "NOTICE.md": notice(licence).encode()}


def senses(folder: Path, word: str, part: str) -> list[dict[str, Any]]:
    """Every sense of a word, the one that is met most often first."""
    lines = (folder / f"index.{part}").read_text(encoding="utf-8").splitlines()
    entry = next(line.split() for line in lines if line.startswith(f"{word} "))
    counts = dict(
        line.split()[::2] for line in (folder / "cntlist.rev").read_text("utf-8").splitlines()
    )
    data = (folder / f"data.{part}").read_bytes()
    found = []
    for offset in entry[-int(entry[2]) :]:
        synset = read_synset(data, offset)
        key = f"{word}%{PARTS[part]}:{synset['file']}:{synset['ids'][word]:02d}::"
        above = [read_synset(data, o) for o in synset["above"]]
        found.append(
            {
                "lemmas": synset["lemmas"],
                "gloss": synset["gloss"],
                "count": int(counts.get(key, 0)),
                "chain": chain(data, synset),
                "above": [s["gloss"] for s in above],
                "below": [read_synset(data, o)["gloss"] for o in synset["below"]],
            }
        )
    return found


def read_synset(data: bytes, offset: str) -> dict[str, Any]:
    """One line of a data file, as wndb(5WN) describes it."""
    line = data[int(offset) : data.index(b"\n", int(offset))].decode("utf-8")
    fields, gloss = line.split(" | ", 1)
    field = fields.split()
    n_words = int(field[3], 16)
    lemmas, ids = field[4 : 4 + 2 * n_words : 2], field[5 : 5 + 2 * n_words : 2]
    n_pointers, at = int(field[4 + 2 * n_words]), 5 + 2 * n_words
    pointers = [field[at + 4 * k : at + 4 * k + 4] for k in range(n_pointers)]
    return {
        "lemmas": [lemma.replace("_", " ") for lemma in lemmas],
        "ids": {lemma.lower(): int(i, 16) for lemma, i in zip(lemmas, ids, strict=True)},
        "file": field[1],
        "gloss": gloss.strip(),
        "above": [p[1] for p in pointers if p[0] in ("@", "@i")],
        "below": [p[1] for p in pointers if p[0] in ("~", "~i")],
    }


def chain(data: bytes, synset: dict[str, Any]) -> list[str]:
    """First lemmas of the synsets from this one to the top, by the first way up."""
    names = [synset["lemmas"][0]]
    while synset["above"]:
        synset = read_synset(data, synset["above"][0])
        names.append(synset["lemmas"][0])
    return names


def notice(copyright_file: str) -> str:
    """NOTICE.md: the licence, which must go with every copy."""
    start = copyright_file.index(" This software and database")
    licence = copyright_file[start : copyright_file.index("\n\nFiles: debian")]
    quoted = "\n".join(
        f"> {line.strip().removeprefix('.')}".rstrip() for line in licence.split("\n")
    )
    return (
        "# Source and licence of the senses\n\n"
        "An excerpt of WordNet 3.0, Copyright 2006 by Princeton University, from the Debian "
        f"package `wordnet-base` 1:3.0-37, under this licence:\n\n{quoted}\n\n"
        "Changes: the senses of a few words, rewritten as JSON by `scripts/build_wordnet.py`.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
