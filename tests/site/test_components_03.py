"""The tokenizer playground, typed into in a browser, its ids compared with Python's."""

from __future__ import annotations

from collections import Counter
from math import log
from pathlib import Path

import pytest
from tests.site.component_pages import page as as_page
from tests.site.test_components import demo_url, play  # noqa: F401
from tests.site.visit import axe_violations, block_network

from build_gpt2_merges import OUT, load_merges
from llmbook import web
from llmbook.datasets import load_corpus
from llmbook.tokenizers import WORD_PATTERN, BPETokenizer, WordPieceTokenizer
from llmbook.web import assets
from llmbook.web.tokens import shown_tokens, unigram_pieces, unigram_scores
from llmbook.weights import book_model_path

HARD = [
    "",
    " ",
    "   a   b   ",
    "\n\n \t\r\n x",
    "Don't we'll I'M it's 'tis they'd've",
    "x" * 300,
    "1234567890" * 5 + " ½ ² Ⅳ ١٢٣",
    "العربية والعبرية עברית",
    "한국어와 日本語 世界是美好的地方。",
    "e\u0301 \u00e9 \u1e69 \ufb01 Å \u0130 ΣΑΣ ß straße",
    "\u200d \u202e \ufeff \x00\x01\x1c\x85\u00a0\u2028\u3000 end",
    "👩‍👩‍👧‍👦🏳️‍🌈🇨🇳 naïve café — “quoted” …",
    "def f(x):\n    return x**2  # square\n",
    "<|endoftext|> [UNK] [MASK] ##ing",
    "\U0001f642\U0010ffff \U00020000",
    "It is a truth universally acknowledged, that Mr. Bennet's strawberry had 3 r's.",
]


@pytest.fixture(scope="module")
def vocabularies() -> dict:
    texts = [document.text for document in load_corpus("train", "austen")[:6]]
    words = Counter(word for text in texts for word in WORD_PATTERN.findall(text))
    counts: Counter[str] = Counter()
    for word, n in words.items():
        for i in range(len(word)):
            for j in range(i + 1, min(len(word), i + 8) + 1):
                counts[word[i:j]] += n
    kept = counts.most_common(900)
    total = sum(n for _, n in kept)
    return {
        "GPT-2": BPETokenizer(load_merges()),
        "book": BPETokenizer.load(book_model_path() / "tokenizer.json"),
        "WordPiece": WordPieceTokenizer.train(texts, 600, score="gain"),
        "Unigram": {piece: log(n / total) for piece, n in kept},
    }


@pytest.fixture
def typed(browser, serve, tmp_path, vocabularies):
    """A page with four real vocabularies, ready to type in."""
    packed = {"GPT-2": (OUT / "merges.deflate").read_bytes()}
    component = web.tokenizer_playground("Hello world", vocabularies, packed=packed)
    assets.write_static(tmp_path / "llmbook")
    scripts = "".join(
        f'<script defer src="llmbook/{name}"></script>'
        for name in assets.page_scripts(["tokenizer_playground"])
    )
    head = f'<link rel="stylesheet" href="llmbook/llmbook.css">{scripts}'
    (tmp_path / "t.html").write_text(as_page(component.to_html(inline=False), head), "utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 900})
    page, base = context.new_page(), serve(Path(tmp_path))
    page.leaks, page.problems = block_network(page, base), []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(f"{base}t.html")
    page.wait_for_selector("[data-tokenizers-ready=true]")
    yield page
    assert (page.leaks, page.problems) == ([], [])
    context.close()


def read(page, text: str) -> list[tuple[list[str], list[str]]]:
    """Type a text; return the shown tokens and the ids of each panel."""
    return page.evaluate(
        """(text) => {
          const field = document.querySelector(".tp-field");
          field.value = text;
          field.dispatchEvent(new Event("input"));
          const of = (panel, what) =>
            [...panel.querySelectorAll(what)].map((e) => e.textContent);
          return [field.value, ...[...document.querySelectorAll(".tp-panel")].map(
            (panel) => [of(panel, ".tp-text"), of(panel, ".tp-id")])];
        }""",
        text,
    )


def ids_of(tokenizer, text: str) -> list[str]:
    if isinstance(tokenizer, dict):
        names = list(tokenizer)
        pieces = unigram_pieces(text, unigram_scores(tokenizer))
        return [str(names.index(p)) if p in tokenizer else "unknown" for p in pieces]
    return [str(i) for i in tokenizer.encode(text)]


def test_the_page_gives_the_same_ids_and_tokens_as_python_for_hard_texts(typed, vocabularies):
    for text in HARD:
        value, *panels = read(typed, text)  # a field turns \r\n into \n
        for (name, tokenizer), (shown, ids) in zip(vocabularies.items(), panels, strict=True):
            assert ids == ids_of(tokenizer, value), (name, value)
            if not any(ord(c) > 0x2FFF for c in value):  # newer letters are shown as they are
                assert shown == shown_tokens(value, tokenizer), (name, value)


def test_gpt2s_published_ids_appear_when_typed_by_keyboard(typed):
    typed.locator(".tp-field").focus()
    typed.keyboard.press("Control+A")
    typed.keyboard.type("Hello world")
    typed.keyboard.press("Tab")
    typed.get_by_role("button", name="Show ids").click()
    first = typed.locator(".tp-panel").first
    assert first.locator(".tp-id:visible").all_inner_texts() == ["15496", "995"]
    assert "2 tokens · 5.50 bytes per token" in first.locator(".tp-count").inner_text()
    assert "50257 tokens" in first.locator(".tp-name").inner_text()


def test_the_playground_keeps_the_rules_on_a_phone_with_ids_shown(typed):
    read(typed, "Typed, 世界 and " + "long" * 60)
    typed.get_by_role("button", name="Show ids").click()
    assert axe_violations(typed) == []
    assert typed.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_sample_can_be_chosen_and_characters_unknown_to_unigram_are_marked(play):  # noqa: F811
    page = play("tokenizer_playground")
    page.get_by_label("Text").select_option(label="Chinese")
    page.wait_for_selector(".tp-unknown")
    assert page.get_by_label("Type here").input_value() == "世界 the"
    assert page.locator(".tp-unknown").count() >= 3  # two in Unigram, two words in WordPiece
    assert "2 graphemes" not in page.locator(".tp-sizes").inner_text()
    assert "6 graphemes · 6 code points · 10 bytes" in page.locator(".tp-sizes").inner_text()
