"""Cut the font of the figures' Chinese out of Noto Sans SC; the result is committed.

    python scripts/build_cjk_font.py            # write src/llmbook/assets/font/
    python scripts/build_cjk_font.py --check    # rebuild in memory, compare with the files

Needs npm, which fetches `@expo-google-fonts/noto-sans-sc` 0.4.3 (57 MB; the font is under the SIL
Open Font License 1.1). Kept are the Chinese characters that the translated catalogues and the
notebooks hold, and all full-width punctuation. To be run again when the catalogues need a
character that the font lacks; a test says which.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

import catalogues
from building import BuildError, command_line, fetch

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "src/llmbook/assets/font"
NAME = "llmbook-cjk.ttf"
FAMILY = "llmbook CJK"
PACKAGE, VERSION = "@expo-google-fonts/noto-sans-sc", "0.4.3"
FILE = f"expo-google-fonts-noto-sans-sc-{VERSION}.tgz"
SHA256 = "0d69d0f4971d2ff574e3d93cbc218dc950bf3f3f8f8e2c008d97687ed53aee59"
FONT, LICENCE = "package/400Regular/NotoSansSC_400Regular.ttf", "package/LICENSE_FONT"
# Punctuation, and full-width forms of ASCII; then what counts as a Chinese character.
ALWAYS = [*range(0x3001, 0x3020), *range(0xFF01, 0xFF5F)]
CHINESE = ((0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF))
FAMILY_NAME, UNIQUE, FULL, POSTSCRIPT = 1, 3, 4, 6  # records of a font's name table
KEPT_NAMES = [0, 1, 2, 3, 4, 5, 6, 13, 14]


def is_chinese(character: str) -> bool:
    """Whether a character is drawn with the Chinese font: ideographs and full-width signs."""
    return any(low <= ord(character) <= high for low, high in CHINESE)


def wanted() -> list[int]:
    """The code points that the font must hold, sorted."""
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("notebooks/*.ipynb")]
    for language in catalogues.LANGUAGES:
        for path in catalogues.folder(language).rglob("*.po"):
            texts += [str(m.string) for m in catalogues.messages(catalogues.read(path, language))]
    found = {ord(c) for text in texts for c in set(text) if is_chinese(c)}
    return sorted(found.union(ALWAYS))


def main() -> int:
    return command_line(__doc__, lambda folder: build(download(folder)), OUT)


def download(folder: Path) -> Path:
    """The package's file, fetched by npm where it is not in the folder yet."""
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("npm is needed to fetch the font; install Node.js 18 or newer")
    return fetch([npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"], folder / FILE, SHA256)


def build(tarball: Path) -> dict[str, bytes]:
    """The committed files by name."""
    with tarfile.open(tarball) as archive:
        contents = {}
        for name in (FONT, LICENCE):
            member = archive.extractfile(name)
            assert member is not None
            contents[name] = member.read()
    font = cut(contents[FONT], wanted())
    manifest = {
        "file": NAME,
        "family": FAMILY,
        "sha256": hashlib.sha256(font).hexdigest(),
        "package": {"name": PACKAGE, "version": VERSION, "registry": "npm"},
        "file_sha256": SHA256,
        "font": "Noto Sans SC Regular 2.004",
        "font_sha256": hashlib.sha256(contents[FONT]).hexdigest(),
        "licence": "OFL-1.1",
        "changes": "a part of the glyphs, without layout features; another name",
        "characters": len(TTFont(io.BytesIO(font)).getBestCmap()),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {NAME: font, "manifest.json": text.encode(), "OFL.txt": contents[LICENCE]}


def cut(whole: bytes, points: list[int]) -> bytes:
    """The font with these code points alone, under a name of its own."""
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True)
    options.name_IDs = KEPT_NAMES
    options.drop_tables += ["BASE", "GDEF", "GPOS", "GSUB", "STAT", "vhea", "vmtx"]
    font = TTFont(io.BytesIO(whole), recalcTimestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=points)
    cutter.subset(font)
    for record in font["name"].names:
        if record.nameID in (FAMILY_NAME, FULL):
            record.string = FAMILY
        elif record.nameID in (UNIQUE, POSTSCRIPT):
            record.string = FAMILY.replace(" ", "-")
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
