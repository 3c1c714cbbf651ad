"""Collect every message that the package and the chapters' outputs show, for the catalogues.

    python scripts/extract_messages.py            # bring the .po files up to date, compile them
    python scripts/extract_messages.py --compile  # compile only

``package_messages()`` yields them with their catalogue: ``llmbook/components`` for the interactive
components and the package's figures, ``llmbook/grader`` for the grader, and for each chapter
``llmbook/chapter_NN``: its exercises and quiz, its figures' alternative texts, and what its cells
were seen to show when they last ran in another language (labels of figures, words given to
components; see ``translated_outputs.py``).
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo

import catalogues
from llmbook.language import DOMAIN, LOCALE
from message_sources import COMPONENTS, GRADER, SHARED, everything, relative


def package_messages() -> Iterator[tuple[str, Message]]:
    """Every message with its domain, once, in a steady order.

    One message has one translation: what two chapters say is asked for in a shared catalogue,
    labels of figures with the components' words, all else with the grader's.
    """
    said = list(everything())
    domains: dict[tuple[str, str], set[str]] = {}
    for one in said:
        domains.setdefault((one.context, one.text), set()).add(one.domain)
    for (context, text), found in domains.items():
        one = next(one for one in said if (one.context, one.text) == (context, text))
        shared = next((domain for domain in SHARED if domain in found), "")
        if len(found) > 1 and not shared:
            shared = COMPONENTS if context else GRADER
        message = Message(text, context=context or None)
        message.locations = [(one.place, 0)]
        yield shared or one.domain, message


def templates() -> dict[str, Catalog]:
    """A catalogue without translations for every domain."""
    made: dict[str, Catalog] = {}
    for domain, message in package_messages():
        made.setdefault(domain, Catalog())[message.id] = message
    return made


def compile_catalogues(name: str) -> bytes:
    """One compiled catalogue (.mo) of the package's messages in a language, fuzzy ones left out.

    Raises:
        ValueError: two catalogues translate one message differently.
    """
    never = datetime(1970, 1, 1, tzinfo=UTC)  # the file depends on the translations alone
    merged = Catalog(
        locale=name, fuzzy=False, charset="utf-8", creation_date=never, revision_date=never
    )
    for path in sorted((catalogues.folder(name) / "llmbook").glob("*.po")):
        for message in catalogues.messages(catalogues.read(path, name)):
            if catalogues.state(message) != "done":
                continue
            known = merged.get(message.id, message.context)
            if known and known.string != message.string:
                raise ValueError(
                    f"{path.name} says {message.string!r} for {message.id!r}, another catalogue "
                    f"{known.string!r}: one message has one translation"
                )
            merged.add(message.id, message.string, context=message.context)
    out = io.BytesIO()
    write_mo(out, merged)
    return out.getvalue()


def compiled(name: str) -> Path:
    """Where the compiled catalogue of a language lies."""
    return LOCALE / name / "LC_MESSAGES" / f"{DOMAIN}.mo"


def write_compiled() -> None:
    """Compile the package's catalogues of every language into the package."""
    for name in catalogues.LANGUAGES:
        path = compiled(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = compile_catalogues(name)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            print(f"{relative(path)}: {len(content):,} bytes")


def main() -> int:
    """Update the package's catalogues, then compile them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--compile", action="store_true", help="compile only")
    if not parser.parse_args().compile:
        from translations import update

        for name in catalogues.LANGUAGES:
            for domain, template in templates().items():
                update(catalogues.folder(name) / f"{domain}.po", template, name)
    write_compiled()
    return 0


if __name__ == "__main__":
    sys.exit(main())
