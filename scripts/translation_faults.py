"""What can be wrong with a translation, found without reading it: one function for each check.

    python scripts/translation_faults.py                      # every message that is translated
    python scripts/translation_faults.py notebooks/07_attention

Each function takes the English message and its translation, and returns sentences, none where
nothing is wrong. A translation keeps what is not words (formulas, code, links, citations, roles'
targets, placeholders), names a term as the glossary does, and is set as Chinese is set.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

from catalogues import LANGUAGES, ROOT, folder, messages, read, state

ROLE = re.compile(r"\{(\w[\w:-]*)\}(`+)(.+?)\2(?!`)", re.S)
CODE = re.compile(r"(?<![`}])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
MATH = re.compile(r"(?<![\\$])\$(?![\s$])((?:[^$\\]|\\.)+?)(?<![\s\\])\$(?!\d)", re.S)
LINK = re.compile(r"\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)")
ADDRESS = re.compile(r"<(https?://[^>\s]+)>")
TAG = re.compile(r"</?[a-z][^<>]*>")
PLACEHOLDER = re.compile(r"(?<!\{)\{[a-z_]*(?:[:!][^{}\s]*)?\}(?!`)|%[sd]")
WORDS_IN_FORMULA = re.compile(r"\\text(?:rm)?\{[^{}]*\}")
ITALICS = re.compile(r"(?<![*\\])\*(?![*\s])([^*]+)(?<!\s)\*(?!\*)")
CALL = re.compile(r"(?<=[A-Za-z0-9_])\([^()]*\)")  # f(x): its parentheses are mathematics
TARGET = re.compile(r"(.*?)\s*<([^<>]+)>\s*\Z", re.S)
NAME = re.compile(r"^[A-Z\d-]+$|[a-z][A-Z]")  # LSTM, LayerNorm: such a term may stay as it is
SHOWN = {"term", "dfn", "ref", "doc", "numref"}  # roles whose text is read

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
WIDE = "，。；：？！（）《》、"  # punctuation that is always full-width and brings its own space
SETTING = [
    (rf"[{HAN}][,;:?!](?![^\s{HAN}{WIDE}])", "half-width punctuation after Chinese"),
    (rf"[{HAN}]\.(?![\w.])", "half-width full stop after Chinese"),
    (rf"[{HAN}] ?\([^()]*[{HAN}]|[{HAN}][^()（）]{{0,60}}\) ?[{HAN}]", "half-width parentheses"),
    (rf"[{HAN}][\"'](?!\w)|(?<!\w)[\"'][{HAN}]", "half-width quotation mark"),
    (rf"[{HAN}“”] +[{HAN}“”]", "space between Chinese characters"),
    (rf"[{WIDE}] +(?=\S)|(?<=\S) +[{WIDE}]", "space beside full-width punctuation"),
    (rf"[{HAN}][A-Za-z0-9]|[A-Za-z0-9][{HAN}]", "no space between Chinese and Latin or digits"),
    (rf"[{HAN}] {{2,}}\S|\S {{2,}}[{HAN}]", "more than one space"),
    (r"[０-９Ａ-Ｚａ-ｚ]", "full-width digit or letter"),
    (r"[\u3000「」『』]", "ideographic space or corner bracket"),
    (rf"[{HAN}]\.\.\.|\.\.\.[{HAN}]", "three dots in place of ……"),
]


def roles(text: str) -> list[tuple[str, str, str]]:
    """The roles of a message: (name, text shown, target)."""
    found = []
    for name, _, content in ROLE.findall(text):
        match = TARGET.match(content)
        shown, target = match.groups() if match else (content, content)
        found.append((name, shown.strip(), " ".join(target.split()).lower()))
    return found


def formulas(text: str) -> list[str]:
    """The formulas of a message; words inside them may be translated."""
    is_displayed = text.startswith("\n") and text.endswith("\n")
    without_code = CODE.sub("", ROLE.sub("", text))
    found = [text] if is_displayed else [m[1] for m in MATH.finditer(without_code)]
    return ["".join(WORDS_IN_FORMULA.sub("", formula).split()) for formula in found]


def kept(text: str, has_placeholders: bool) -> dict[str, Counter[str]]:
    """Everything in a message that a translation keeps, by kind."""
    plain = CODE.sub("", ROLE.sub("", text))
    without_math = MATH.sub("", plain)
    parts: dict[str, list[str]] = {
        "formula": formulas(text),
        "code": [m[2].strip() for m in CODE.finditer(ROLE.sub("", text))],
        "link": LINK.findall(without_math) + ADDRESS.findall(without_math),
        "role": [f"{name} {target}" for name, _, target in roles(text)],
        "HTML": TAG.findall(ADDRESS.sub("", without_math)),
    }
    if has_placeholders:
        parts["placeholder"] = PLACEHOLDER.findall(text)
    return {kind: Counter(found) for kind, found in parts.items()}


def lost_or_added(english: str, translation: str, has_placeholders: bool) -> list[str]:
    """Formulas, code, links, citations, targets and placeholders that differ."""
    before, after = (kept(text, has_placeholders) for text in (english, translation))
    if formulas(english) and english.startswith("\n"):
        before, after = ({"formula": part["formula"]} for part in (before, after))
    faults = []
    for kind in before:
        faults += [f"{kind} dropped: {part}" for part in before[kind] - after[kind]]
        faults += [f"{kind} added: {part}" for part in after[kind] - before[kind]]
    return faults


@cache
def glossary() -> dict[str, set[str]]:
    """Every term of the glossary in lower case, and what it may be called in Chinese.

    An entry is one line or more of terms, the last of them Chinese where there is one, then an
    indented definition, which may end with "Chinese also: 令牌, 标记."
    """
    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    entries = re.search(r"```\{glossary\}\n(?::[^\n]*\n)*(.*?)\n```", text, re.S)
    assert entries, "book/glossary.md has no glossary"
    terms: dict[str, set[str]] = {}
    for entry in re.split(r"\n\s*\n", entries[1].strip()):
        lines = entry.split("\n")
        heads = [line for line in lines if not line.startswith(" ")]
        also = re.search(r"Chinese also: (.+)\.\s*$", entry)
        allowed = {head for head in heads if re.search(f"[{HAN}]", head)} or set(heads)
        allowed |= set(re.split(r",\s*", also[1])) if also else set()
        allowed |= {head for head in heads if NAME.search(head)}
        terms |= {head.lower(): {" ".join(a.lower().split()) for a in allowed} for head in heads}
    return terms


def wrong_terms(translation: str) -> list[str]:
    """Terms that are shown under another name than the glossary's."""
    faults = []
    for name, shown, target in roles(translation):
        allowed = glossary().get(target)
        if name in ("term", "dfn") and allowed and " ".join(shown.lower().split()) not in allowed:
            faults.append(f"term {target!r} is shown as {shown!r}, not {' or '.join(allowed)}")
    return faults


def readable(text: str) -> str:
    """A message as it is read: Latin letters stand for formulas and code, the markup is gone."""
    text = ROLE.sub(lambda m: roles(m[0])[0][1] if m[1] in SHOWN else "X", text)
    text = MATH.sub("X", CODE.sub("X", text))
    text = ADDRESS.sub("X", LINK.sub("]", text))
    text = re.sub(r"\*\*|(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)", "", TAG.sub("", text))
    text = CALL.sub("", PLACEHOLDER.sub("\ufffc", text))
    return re.sub(r"!?\[|\]", "", text).strip()


def badly_set(translation: str) -> list[str]:
    """Breaches of Chinese typography, each with what stands around it."""
    if translation.startswith("\n"):
        return []  # a displayed formula
    faults = []
    for line in readable(translation).split("\n"):
        for pattern, name in SETTING:
            for match in re.finditer(pattern, line):
                around = line[max(0, match.start() - 6) : match.end() + 6]
                faults.append(f"{name}: {around!r}")
    return faults


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").use(dollarmath_plugin).use(myst_role_plugin)


def _left_over(text: str) -> Counter[str]:
    """Signs of markup that stay in the text when it is parsed."""
    tokens = [c for token in _parser().parse(text) for c in token.children or []]
    plain = "".join(token.content for token in tokens if token.type == "text")
    return Counter(re.findall(r"\*+|`+|\{[a-z]+\}", plain))


def broken_markup(english: str, translation: str) -> list[str]:
    """Stars, backticks and roles that would be read as they are, and Chinese in italics."""
    if translation.startswith("\n"):
        return []
    extra = _left_over(translation) - _left_over(english)
    faults = [f"markup that is not understood: {sign}" for sign in extra]
    for italic in ITALICS.findall(MATH.sub("", CODE.sub("", translation))):
        if re.search(f"[{HAN}]", italic):
            faults.append(f"Chinese in italics: {italic!r}")
    return faults


def faults(english: str, translation: str, domain: str) -> list[str]:
    """Everything that is wrong with one translation."""
    is_page = domain.startswith(("book/", "notebooks/"))
    checks: list[Callable[[], list[str]]] = [
        lambda: lost_or_added(english, translation, not is_page),
        lambda: wrong_terms(translation),
        lambda: badly_set(translation),
        lambda: broken_markup(english, translation) if is_page else [],
    ]
    return [fault for check in checks for fault in check()]


def all_faults(language: str, wanted: list[str]) -> Iterator[str]:
    """A line for each fault of the messages that are translated."""
    root = folder(language)
    for path in sorted(root.rglob("*.po")):
        domain = path.relative_to(root).with_suffix("").as_posix()
        if wanted and domain not in wanted:
            continue
        for message in messages(read(path, language)):
            if state(message) == "done":
                for fault in faults(message.id, message.string, domain):
                    yield f"{domain}: {fault}\n    in: {message.string.strip()[:100]}"


def main() -> int:
    """Print what was found; the exit status is 1 where something was."""
    found = [line for language in LANGUAGES for line in all_faults(language, sys.argv[1:])]
    print("\n".join(found) or "No fault was found.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
