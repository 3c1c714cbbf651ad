"""Build the book's excerpt of jieba's dictionary of Chinese words; the result is committed.

    python scripts/build_zh_words.py            # write src/llmbook/assets/zh_words/
    python scripts/build_zh_words.py --check    # rebuild in memory, compare with the files

Needs pip, which fetches the source package of jieba 0.42.1 (MIT, dictionary included). The excerpt
holds the words of Chinese characters alone that the dictionary counts 37 times or more, most
frequent first: "word count", one a line, xz-compressed. Used in chapter 2.
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

OUT = Path(__file__).parents[1] / "src/llmbook/assets/zh_words"
NAME = "words.txt.xz"
FILE = "jieba-0.42.1.tar.gz"
SHA256 = "055ca12f62674fafed09427f176506079bc135638a14e23e25be909131928db2"
MEMBER = "jieba-0.42.1/jieba/dict.txt"
LEAST = 37
CHINESE = re.compile("[\u4e00-\u9fff]+")
NOTICE = """# Source and licence of the Chinese words

An excerpt of the dictionary of jieba 0.42.1 (https://github.com/fxsjy/jieba), whose package is
under the MIT licence:

> The MIT License (MIT)
>
> Copyright (c) 2013 Sun Junyi
>
> Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
> associated documentation files (the "Software"), to deal in the Software without restriction,
> including without limitation the rights to use, copy, modify, merge, publish, distribute,
> sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
> furnished to do so, subject to the following conditions:
>
> The above copyright notice and this permission notice shall be included in all copies or
> substantial portions of the Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
> NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
> NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
> DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
> OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

Changes: the more frequent words alone, without their tags. Made by `scripts/build_zh_words.py`.
"""


def main() -> int:
    return command_line(__doc__, lambda folder: build(download(folder)), OUT)


def download(folder: Path) -> Path:
    """The package's file, downloaded by pip where it is not in the folder yet."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    return fetch([*command, "jieba==0.42.1"], folder / FILE, SHA256)


def build(tarball: Path) -> dict[str, bytes]:
    """The committed files by name."""
    with tarfile.open(tarball) as archive:
        member = archive.extractfile(MEMBER)
        assert member is not None
        rows = [line.split()[:2] for line in member.read().decode("utf-8").splitlines()]
    counts = {word: int(n) for word, n in rows}
    chosen = {w: n for w, n in counts.items() if n >= LEAST and CHINESE.fullmatch(w)}
    ordered = sorted(chosen, key=lambda word: (-chosen[word], word))
    raw = "".join(f"{word} {chosen[word]}\n" for word in ordered).encode()
    packed = lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)
    manifest = {
        "format": "one word a line and its count, most frequent first",
        "file": NAME,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "sha256_uncompressed": hashlib.sha256(raw).hexdigest(),
        "package": {"name": "jieba", "version": "0.42.1", "registry": "PyPI"},
        "file_sha256": SHA256,
        "licence": "MIT",
        "words": len(ordered),
        "words_of_the_dictionary": len(counts),
        "count_of_the_dictionary": sum(counts.values()),
        "share_of_the_count": round(sum(chosen.values()) / sum(counts.values()), 4),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {NAME: packed, "manifest.json": text.encode(), "NOTICE.md": NOTICE.encode()}


if __name__ == "__main__":
    sys.exit(main())
