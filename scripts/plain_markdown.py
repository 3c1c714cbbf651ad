"""Turn the MyST that the chapters use into Markdown that any renderer shows well.

Slides and student copies are read outside the site, where directives and roles would
appear as raw marks.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIBLIOGRAPHY = ROOT / "book" / "references.bib"

ENTRY = re.compile(r"@(\w+)\s*\{\s*([^,\s]+)\s*,(.*?)\n\}", re.DOTALL)
FIELD = re.compile(r"^\s*(\w+)\s*=\s*[\{\"](.*?)[\}\"],?\s*$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(
    r"^(`{3,}|:{3,})\{([\w-]+)\}[ \t]*(.*?)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL
)
TARGET = re.compile(r"^\([\w:.-]+\)=\s*$\n?", re.MULTILINE)
ROLE = re.compile(r"\{([\w:-]+)\}`([^`]+)`")
CODE = re.compile(r"(^```[\w-]*[ \t]*\n.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:[\w-]+:.*$\n?", re.MULTILINE)


def read_bibliography(path: Path = BIBLIOGRAPHY) -> dict[str, dict[str, str]]:
    """Return the fields of every entry of a BibTeX file, by key."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return {
        key: {name.lower(): " ".join(value.split()) for name, value in FIELD.findall(body)}
        for _, key, body in ENTRY.findall(text)
    }


def author_year(key: str, bibliography: dict[str, dict[str, str]]) -> str:
    """Return "Vaswani et al. 2017" for a key, or the key where it is unknown."""
    entry = bibliography.get(key)
    if entry is None:
        return key
    authors = re.sub(r"[{}]", "", entry.get("author", key)).split(" and ")
    surnames = [name.split(",")[0] if "," in name else name.split()[-1] for name in authors]
    names = surnames[0] if len(surnames) == 1 else f"{surnames[0]} et al."
    if len(surnames) == 2:
        names = f"{surnames[0]} and {surnames[1]}"
    return f"{names} {entry.get('year', '')}".strip()


def plain_role(match: re.Match[str], bibliography: dict[str, dict[str, str]]) -> str:
    """Return what a reader should see in place of one role."""
    role, content = match.groups()
    if role.startswith("cite"):
        names = [author_year(key.strip(), bibliography) for key in content.split(",")]
        text = "; ".join(names)
        return text if role.endswith(":t") else f"({text})"
    titled = re.fullmatch(r"(.*?)\s*<[^>]+>", content)
    text = titled.group(1) if titled else content
    return f"*{text}*" if role == "dfn" else text


def plain_directive(match: re.Match[str]) -> str:
    """Return an admonition as a quotation with a bold title, mathematics as mathematics."""
    _, name, argument, body = match.groups()
    body = OPTION.sub("", body).strip()
    if name == "math":
        return f"$$\n{body}\n$$"
    if name in {"figure", "image"}:
        return f"![{body}]({argument})"
    title = argument or name.capitalize()
    lines = [f"**{title}**", "", *plain_directives(body).splitlines()]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def plain_directives(text: str) -> str:
    """Replace every directive in a text, the outermost first."""
    return FENCE.sub(plain_directive, text)


def plain_markdown(text: str, bibliography: dict[str, dict[str, str]]) -> str:
    """Return a Markdown cell without directives, roles and targets; blocks of code stay."""
    pieces = CODE.split(TARGET.sub("", plain_directives(text)))
    for i in range(0, len(pieces), 2):  # every second piece is a block of code
        pieces[i] = ROLE.sub(lambda match: plain_role(match, bibliography), pieces[i])
    return "".join(pieces)
