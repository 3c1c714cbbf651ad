"""The language in which hints, components and figures speak: English, or what LLMBOOK_LANG names.

English is the key: a message is looked up as it stands in the code, and shown as it is where the
catalogue has no translation. ``assets/locale/LANGUAGE/LC_MESSAGES/llmbook.mo`` is compiled from
the catalogues in ``book/locale`` by ``scripts/extract_messages.py``.
"""

from __future__ import annotations

import gettext
import os
from functools import cache
from pathlib import Path

ENGLISH = "en"
VARIABLE = "LLMBOOK_LANG"
LOCALE = Path(__file__).with_name("assets") / "locale"
DOMAIN = "llmbook"

_asked: dict[tuple[str, str], str] = {}


@cache
def languages() -> tuple[str, ...]:
    """The languages that exist: English, then every one with a compiled catalogue."""
    compiled = LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")
    return (ENGLISH, *sorted(path.parents[1].name for path in compiled))


def language() -> str:
    """The chosen language: ``en``, or the value of the environment variable ``LLMBOOK_LANG``.

    Raises:
        ValueError: no catalogue has this name; the message lists those there are.
    """
    return _checked(os.environ.get(VARIABLE, "") or ENGLISH)


@cache
def _checked(name: str) -> str:
    if name not in languages():
        there = " or ".join(languages())
        raise ValueError(
            f"{VARIABLE} is {name!r}, which the book does not speak: set it to {there}"
        )
    return name


@cache
def catalogue(name: str) -> gettext.NullTranslations:
    """The messages of a language; English has none, and gives each message back.

    Raises:
        ValueError: there is no such language.
    """
    if _checked(name) == ENGLISH:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALE, [name])


def translate(message: str, context: str = "", *, to: str | None = None) -> str:
    """A message in the chosen language, or as it is where no translation exists.

    Numbers are filled in afterwards: ``translate("{n} of {all} right").format(n=3, all=7)``.

    Args:
        message: the English text, which is the key.
        context: tells apart messages that are alike in English, such as ``"quiz.right"``.
        to: a language in place of the chosen one.
    Raises:
        ValueError: ``LLMBOOK_LANG`` names a language that does not exist.
    """
    name = to or language()
    if name == ENGLISH or not message:
        return message
    messages = catalogue(name)
    found = messages.pgettext(context, message) if context else messages.gettext(message)
    _asked[context, message] = found
    return found


def say(message: str, /, **values: object) -> str:
    """A message in the chosen language with its numbers filled in: ``say("{n} bits", n=3)``."""
    return translate(message).format(**values)


def mark(message: str, context: str = "") -> str:
    """The message itself: marks a constant for the catalogue, which is translated when shown.

    The words of figures have the context ``figure``.
    """
    return message


def asked() -> dict[tuple[str, str], str]:
    """What was looked up since the last call, (context, message), and what was found.

    English looks nothing up. A run of a chapter in another language notes with it what its
    outputs depend on.
    """
    found = dict(_asked)
    _asked.clear()
    return found
