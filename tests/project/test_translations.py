"""The translations: what is promised complete is complete and current, and none is damaged."""

from __future__ import annotations

from functools import cache

import pytest
from babel.messages.catalog import Catalog

import catalogues
import translation_faults
import translations

LANGUAGES = list(catalogues.LANGUAGES)
SHARED = ["sphinx", "llmbook/components", "llmbook/grader"]  # seen on every complete page


@cache
def fresh() -> dict[str, Catalog]:
    """All messages as the sources have them now; pages are read again only if one has changed."""
    return translations.templates()


def complete_domains(language: str) -> list[str]:
    """The catalogues of the pages that are promised complete, their exercises and outputs too."""
    pages = catalogues.complete_pages(language)
    chapters = [
        f"llmbook/chapter_{page.split('/')[1][:2]}" for page in pages if "notebooks" in page
    ]
    return [*pages, *chapters, *SHARED] if pages else []


def unfinished(template: Catalog, catalogue: Catalog) -> list[str]:
    """The messages of the sources that a catalogue does not have, or not as they are now."""
    found = []
    for message in catalogues.messages(template):
        own = catalogue.get(message.id, message.context)
        if own is None:
            found.append(f"changed or new: {message.id[:80]}")
        elif (state := catalogues.state(own)) != "done":
            found.append(f"{state}: {message.id[:80]}")
    return found


def catalogue_files() -> list[tuple[str, str]]:
    """Every catalogue there is: (language, name)."""
    found = []
    for language in LANGUAGES:
        root = catalogues.folder(language)
        paths = (path.relative_to(root).with_suffix("") for path in sorted(root.rglob("*.po")))
        found += [(language, path.as_posix()) for path in paths]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_that_are_promised_complete_are_pages_of_the_book(language):
    pages = catalogues.complete_pages(language)
    assert pages
    assert set(pages) <= set(translations.page_names())


@pytest.mark.parametrize(
    ("language", "domain"),
    [(language, domain) for language in LANGUAGES for domain in complete_domains(language)],
)
def test_a_complete_page_has_no_missing_stale_or_changed_message(language, domain):
    catalogue = catalogues.read(catalogues.folder(language) / f"{domain}.po", language)
    assert unfinished(fresh()[domain], catalogue) == [], "run: make translations"


@pytest.mark.parametrize(("language", "domain"), catalogue_files())
def test_no_translation_is_damaged(language, domain):
    assert list(translation_faults.all_faults(language, [domain])) == []


@pytest.mark.parametrize(("language", "domain"), catalogue_files())
def test_a_catalogue_is_written_in_the_one_form(language, domain):
    path = catalogues.folder(language) / f"{domain}.po"
    text = path.read_text(encoding="utf-8")
    assert catalogues.render(catalogues.read(path, language), language) == text
    for trace in ("Creation-Date", "brace-format", str(catalogues.ROOT)):
        assert trace not in text
    places = [line for line in text.splitlines() if line.startswith("#: ")]
    assert not [place for place in places if "../" in place]


# The checks themselves ----------------------------------------------------------------------------


def message(text: str, string: str = "", flags: tuple[str, ...] = ()) -> Catalog:
    catalogue = Catalog(locale="zh_CN")
    catalogue.add(text, string, flags=flags)
    return catalogue


@pytest.mark.parametrize(
    ("own", "begins"),
    [
        (message("A word.", ""), "missing"),
        (message("A word.", "一个词。", ("fuzzy",)), "stale"),
        (message("Another word.", "另一个词。"), "changed or new"),
    ],
)
def test_a_missing_a_stale_and_a_changed_message_are_told_apart(own, begins):
    (fault,) = unfinished(message("A word."), own)
    assert fault.startswith(begins)


def test_a_message_that_is_done_is_no_fault():
    assert unfinished(message("A word."), message("A word.", "一个词。")) == []


@pytest.mark.parametrize(
    ("english", "translation", "fault"),
    [
        ("The root $\\sqrt{d_k}$.", "这个根。", "formula dropped: \\sqrt{d_k}"),
        ("A root.", "根 $x$。", "formula added: x"),
        ("\na = b \\text{ if}\n", "\na = c \\text{ 若}\n", "formula dropped"),
        ("Call `grade()`.", "调用它。", "code dropped: grade()"),
        ("See [chapter 7](07_attention.ipynb).", "见[第 7 章](08.ipynb)。", "link dropped"),
        ("See <https://a.org/b>.", "见此处。", "link dropped: https://a.org/b"),
        ("So it is {cite}`vaswani2017attention`.", "如此。", "role dropped: cite vaswani"),
        ("{ref}`here <math-chain-rule>`", "{ref}`此处 <math-rule>`", "role dropped: ref math"),
        ("A {term}`token`.", "一个{dfn}`词元 <token>`。", "role dropped: term token"),
        ("a<br>b", "甲乙", "HTML dropped: <br>"),
        ("{n} of {all} right", "答对 {n} 题", "placeholder dropped: {all}"),
        ("Figure %s", "图", "placeholder dropped: %s"),
    ],
)
def test_what_is_dropped_or_added_is_found(english, translation, fault):
    found = translation_faults.lost_or_added(english, translation, has_placeholders=True)
    assert any(line.startswith(fault) for line in found), found


@pytest.mark.parametrize(
    ("english", "translation"),
    [
        ("\nx \\text{ if } y\n", "\nx \\text{ 若 } y\n"),
        ("The `a` and $b$.", "$b$ 和 `a`。"),
        (
            "{term}`tokens <token>`, {dfn}`Attention <attention>`",
            "{dfn}`a <attention>`{term}`b <token>`",
        ),
        ("It costs $5, or $6.", "要 5 美元，或 6 美元。"),
    ],
)
def test_what_may_change_is_no_fault(english, translation):
    assert translation_faults.lost_or_added(english, translation, has_placeholders=False) == []


def test_a_term_is_shown_as_the_glossary_has_it_or_notes_it():
    assert translation_faults.wrong_terms("{term}`词元 <token>`，{term}`令牌 <token>`") == []
    (fault,) = translation_faults.wrong_terms("一个{term}`代币 <token>`")
    assert "'代币'" in fault
    (fault,) = translation_faults.wrong_terms("一个{dfn}`token`")
    assert "词元" in fault


@pytest.mark.parametrize(
    ("translation", "fault"),
    [
        ("第一句,第二句。", "half-width punctuation"),
        ("如下:", "half-width punctuation"),
        ("一句话.", "half-width full stop"),
        ("模型(一种机器)会写。", "half-width parentheses"),
        ('他说"好"。', "half-width quotation mark"),
        ("词元 和词", "space between Chinese"),
        ("**词元** 和词", "space between Chinese"),
        ("{term}`词元 <token>` 和词", "space between Chinese"),
        ("注意力， 掩码", "space beside"),
        ("见 `grade` 。", "space beside"),
        ("用GPT写", "no space"),
        ("有3个词", "no space"),
        ("除以$x$再", "no space"),
        ("用`grade`打分", "no space"),
        ("用  GPT 写", "more than one space"),
        ("有３个", "full-width digit"),
        ("「词元」", "corner bracket"),
        ("等等...", "three dots"),
    ],
)
def test_a_breach_of_typography_is_found(translation, fault):
    assert any(fault in line for line in translation_faults.badly_set(translation))


@pytest.mark.parametrize(
    "translation",
    [
        "语言模型（language model）用 GPT-2 写了 3 个词：“The world is a beautiful place”。",
        "得分除以 $\\sqrt{d_k}$，再用 `softmax(x, dim=-1)` 归一化。",
        "**词元**是{term}`词元 <token>`；见[第 7 章](07_attention.ipynb)。",
        "概率从 9.7% 升到 29 %，见 {cite}`vaswani2017attention`。",
        "函数 f(x) 在 0.5 处取值；运行 `make book`。",
        "她说：“好！”——然后走了……",
        "\n\\text{softmax}(x), y\n",
    ],
)
def test_good_typography_is_no_fault(translation):
    assert translation_faults.badly_set(translation) == []


@pytest.mark.parametrize(
    ("translation", "fault"),
    [
        ("**“词元”**是", "markup that is not understood: **"),
        ("{term} `词元 <token>`", "markup that is not understood: {term}"),
        ("一个 `代码", "markup that is not understood: `"),
        ("*词元*很小", "Chinese in italics"),
    ],
)
def test_broken_markup_is_found(translation, fault):
    assert fault in " ".join(translation_faults.broken_markup("", translation))


def test_whole_markup_is_no_fault():
    good = "**词元**和 `a*b`、$a*b$，{term}`词元 <token>`，*The cat*。"
    assert translation_faults.broken_markup("", good) == []


def test_an_update_keeps_translations_and_marks_what_has_changed(tmp_path):
    path = tmp_path / "page.po"
    old = Catalog()
    old.add("The cat sat on the mat.", locations=[("book/page.md", 0)])
    assert translations.update(path, old, "zh_CN")
    own = catalogues.read(path)
    own.get("The cat sat on the mat.").string = "猫坐在垫子上。"
    catalogues.write(path, own)
    new = Catalog()
    new.add("The cat sat on the old mat.", locations=[("book/page.md", 0)])
    assert translations.update(path, new, "zh_CN")
    (changed,) = catalogues.messages(catalogues.read(path))
    assert changed.string == "猫坐在垫子上。"
    assert catalogues.state(changed) == "stale"
    assert not translations.update(path, new, "zh_CN"), "a second update changes nothing"
