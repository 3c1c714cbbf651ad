"""Copy the site's JavaScript, fonts and icons from their npm packages into book/_static/vendor.

Run `python scripts/vendor_site.py` to fetch and write, `--check` to verify what is committed.
The result is committed, so that building the book and reading it need no network. VENDOR.json
records each part's version, licence and the SHA-256 of every file. Needs `npm` only to fetch.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "book" / "_static" / "vendor"
MANIFEST = VENDOR / "VENDOR.json"

ICONS = """angle-left angle-right arrow-up bars chevron-down chevron-right chevron-up
circle-half-stroke download expand file file-pdf list magnifying-glass moon pencil rocket sun
xmark lightbulb circle-check circle-info triangle-exclamation pen-to-square""".split()
BRANDS = ["github"]


@dataclass(frozen=True)
class Part:
    """One npm package: which of its files are kept, and where they go below vendor/."""

    package: str
    version: str
    licence: str
    used_for: str
    folder: str
    root: str  # folder inside the package that `keep` is relative to
    keep: list[str] = field(default_factory=list)  # glob patterns
    licence_file: str = "LICENSE"

    @property
    def spec(self) -> str:
        return f"{self.package}@{self.version}"


PARTS = [
    Part(
        package="mathjax",
        version="3.2.2",
        licence="Apache-2.0",
        used_for="mathematics on every page that has some",
        folder="mathjax",
        root="es5",
        keep=[
            "tex-mml-chtml.js",
            "output/chtml/fonts/woff-v2/*.woff",
            *[
                f"input/tex/extensions/{name}.js"
                for name in ("boldsymbol", "braket", "cancel", "color", "enclose", "html")
            ],
        ],
    ),
    Part(
        package="@jupyter-widgets/html-manager",
        version="1.0.14",
        licence="BSD-3-Clause",
        used_for="pages whose notebook holds a Jupyter widget, and no others",
        folder="widgets",
        root="dist",
        keep=["embed-amd.js"],
    ),
    Part(
        package="requirejs",
        version="2.3.7",
        licence="MIT",
        used_for="the widget manager's loader",
        folder="requirejs",
        root=".",
        keep=["require.js"],
        licence_file="",
    ),
    Part(
        package="reveal.js",
        version="5.2.1",
        licence="MIT",
        used_for="slides",
        folder="reveal",
        root=".",
        keep=[
            "dist/reveal.js",
            "dist/reveal.css",
            "dist/reset.css",
            "dist/theme/white.css",
            "dist/theme/black.css",
            "dist/theme/fonts/source-sans-pro/*.css",
            "dist/theme/fonts/source-sans-pro/*.woff",
            "dist/theme/fonts/source-sans-pro/LICENSE",
            "plugin/notes/notes.js",
            "plugin/notes/speaker-view.html",
        ],
    ),
    Part(
        package="@fortawesome/fontawesome-free",
        version="7.3.1",
        licence="CC-BY-4.0",
        used_for="the icons of the theme's buttons, as CSS masks instead of a script",
        folder="icons",
        root="svgs",
        keep=[f"solid/{name}.svg" for name in ICONS] + [f"brands/{name}.svg" for name in BRANDS],
        licence_file="LICENSE.txt",
    ),
]


def unpack(part: Part, folder: Path) -> Path:
    """Fetch a package with npm and return the folder it was unpacked into."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed to fetch the vendored files; install Node.js 18 or newer.")
    done = subprocess.run(
        [npm, "pack", "--silent", part.spec], cwd=folder, check=True, capture_output=True, text=True
    )
    archive = folder / done.stdout.split()[-1]
    target = folder / part.folder
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return next(target.iterdir())


def kept_files(part: Part, package: Path) -> dict[str, bytes]:
    """The files to keep, by their path below vendor/FOLDER."""
    root = package / part.root
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and any(fnmatch.fnmatch(path.relative_to(root).as_posix(), k) for k in part.keep)
    }
    for pattern in part.keep:
        if not any(fnmatch.fnmatch(name, pattern) for name in files):
            sys.exit(f"{part.spec} holds nothing that matches {pattern}")
    if part.licence_file:
        files["LICENSE"] = (package / part.licence_file).read_bytes()
    return {
        name: data.replace(b"\r\n", b"\n") if name.endswith(".css") else data
        for name, data in files.items()
    }


def without_source_map(data: bytes) -> bytes:
    """Drop the pointer to a source map, which is not vendored and would be a dead link."""
    return re.sub(rb"\n?//# sourceMappingURL=\S+\s*$", b"\n", data)


def icon_sheet(files: dict[str, bytes]) -> bytes:
    """One style sheet with each icon as a mask, so that it takes the colour of its text."""
    rules = [
        "/* Font Awesome Free icons (CC BY 4.0), written by scripts/vendor_site.py. */",
        ".fa-solid, .fas, .fab, .fa-brands, .far, .fa-regular {",
        "  display: inline-block; width: 1em; height: 1em; vertical-align: -0.125em;",
        "  background-color: currentColor;",
        "  -webkit-mask: var(--icon) center / contain no-repeat;",
        "  mask: var(--icon) center / contain no-repeat;",
        "}",
        # The theme's own glyphs, which would load its icon font.
        ":is(.fa-solid, .fas, .fab, .fa-brands, .far, .fa-regular)::before { content: none; }",
        ".fa-lg { font-size: 1.25em; }",
    ]
    for name, data in sorted(files.items()):
        if not name.endswith(".svg"):
            continue
        svg = re.sub(rb"<!--.*?-->", b"", data).decode().strip()
        url = svg.replace('"', "'").replace("<", "%3C").replace(">", "%3E").replace("#", "%23")
        stem = Path(name).stem
        rules.append(f':root {{ --icon-{stem}: url("data:image/svg+xml,{url}"); }}')
        rules.append(f".fa-{stem} {{ --icon: var(--icon-{stem}); }}")
    return ("\n".join(rules) + "\n").encode()


def fetch() -> None:
    """Write every part and the manifest."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    manifest = []
    for part in PARTS:
        with tempfile.TemporaryDirectory() as scratch:
            files = kept_files(part, unpack(part, Path(scratch)))
        if part.folder == "icons":
            files = {"icons.css": icon_sheet(files), "LICENSE": files["LICENSE"]}
        digests = {}
        for name, data in sorted(files.items()):
            data = without_source_map(data) if name.endswith(".js") else data
            path = VENDOR / part.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            digests[f"{part.folder}/{name}"] = hashlib.sha256(data).hexdigest()
        manifest.append(
            {
                "package": part.package,
                "version": part.version,
                "licence": part.licence,
                "used_for": part.used_for,
                "files": digests,
            }
        )
    MANIFEST.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def faults() -> list[str]:
    """What differs between the manifest and the files, one sentence each."""
    found = []
    listed = {
        name: digest
        for part in json.loads(MANIFEST.read_text(encoding="utf-8"))
        for name, digest in part["files"].items()
    }
    present = {p.relative_to(VENDOR).as_posix() for p in VENDOR.rglob("*") if p.is_file()}
    for name in sorted(present - set(listed) - {MANIFEST.name}):
        found.append(f"{name} is not in {MANIFEST.name}")
    for name, digest in listed.items():
        if name not in present:
            found.append(f"{name} is missing")
        elif hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() != digest:
            found.append(f"{name} has changed since it was vendored")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="verify the committed files only")
    if not parser.parse_args().check:
        fetch()
    found = faults()
    print("\n".join(found) or f"{MANIFEST.name}: every file is as recorded")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
