"""Questions that find out which sections a reader needs, and give the route at the end."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmbook.language import translate
from llmbook.web.component import Component
from llmbook.web.quiz import checked_question, rich

_TARGET = re.compile(r"[a-z][a-z0-9-]*")


def _section(value: Any) -> dict[str, object]:
    missing = [key for key in ("title", "target", "minutes") if key not in value]
    if missing:
        raise ValueError(f"a section lacks {missing[0]!r}: {value!r}")
    title, target, minutes = str(value["title"]), str(value["target"]), int(value["minutes"])
    if not _TARGET.fullmatch(target):
        raise ValueError(f"{target!r} is no label: use small letters, digits and hyphens")
    if minutes < 1:
        raise ValueError(f"{title!r} takes {minutes} minutes: at least 1 is needed")
    return {"title": translate(title), "target": target, "minutes": minutes}


def self_check(
    questions: Sequence[Mapping[str, Any]],
    *,
    everybody: Mapping[str, Any] | None = None,
    title: str = "Self-check",
    caption: str = "",
) -> Component:
    """Ask one question for each section; a first answer that is right lets the reader skip it.

    Args:
        questions: as for ``quiz``, each with ``section``: its ``title``, its ``target`` (the
            label in the page) and its ``minutes``.
        everybody: a section that stands at the end of every route.
    Raises:
        ValueError: for a question or a section that is incomplete.

    Taught in chapter 0.
    """
    checked = [checked_question(q) | {"section": _section(q.get("section", {}))} for q in questions]
    if not checked:
        raise ValueError("a self-check needs at least one question")
    title = translate(title, "self_check")
    data: dict[str, object] = {"title": title, "questions": checked}
    if everybody is not None:
        data["everybody"] = _section(everybody)
    summary = f"{len(checked)} question{'s' if len(checked) > 1 else ''}"
    return Component("self_check", data, static_check(title, checked), summary, caption)


def static_check(title: str, questions: Sequence[dict[str, Any]]) -> str:
    """The questions on paper: choices, then the answer and its section in a closed element."""
    items = ""
    for question in questions:
        choices = "".join(f"<li>{rich(choice)}</li>" for choice in question["choices"])
        right, section = question["answer"], question["section"]
        link = f'<a href="#{section["target"]}">{html.escape(section["title"])}</a>'
        words = translate(
            "{choice}: {why} If you had it, skip the section {link} ({minutes} minutes); "
            "if not, read it.",
            "self_check",
        )
        answer = words.format(
            choice=rich(question["choices"][right]),
            why=rich(question["why"][right]),
            link=link,
            minutes=section["minutes"],
        )
        items += (
            f"<li><p>{rich(question['text'])}</p><ul>{choices}</ul><details>"
            f"<summary>{translate('Answer', 'self_check')}</summary><p>{answer}</p></details></li>"
        )
    return f"<p><strong>{html.escape(title)}</strong></p><ol>{items}</ol>"
