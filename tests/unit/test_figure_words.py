"""Figures speak the chosen language, with the font that ships; in English nothing changes."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from matplotlib.text import Text

import catalogues
from build_cjk_font import is_chinese
from llmbook import language, plot
from llmbook.plot import words

LABEL = "loss (nats per token)"
DEJAVU = Path(font_manager.findfont("DejaVu Sans"))


@pytest.fixture
def chinese(monkeypatch):
    """Figures speak Simplified Chinese for one test."""
    monkeypatch.setenv(language.VARIABLE, "zh_CN")
    monkeypatch.setattr(Text, "set_text", Text.set_text)  # puts back what prepare() changes
    words.prepare()
    yield
    plt.close("all")


def translated(message: str) -> str:
    return language.translate(message, "figure", to="zh_CN")


def package_messages() -> dict[tuple[str, str], str]:
    """Every message of the package that is done: (context, message) to translation."""
    found = {}
    for path in (catalogues.folder("zh_CN") / "llmbook").glob("*.po"):
        for message in catalogues.messages(catalogues.read(path)):
            if catalogues.state(message) == "done":
                found[message.context or "", message.id] = message.string
    return found


def test_numbers_are_masked_and_names_with_digits_are_not():
    assert words.masked("7.5 bits, −3 to 1,024") == ("{0} bits, {1} to {2}", ["7.5", "−3", "1,024"])
    assert words.masked("GPT-2 and word2vec") == ("GPT-2 and word2vec", [])


def test_in_english_matplotlib_is_left_as_it_is():
    assert not hasattr(Text.set_text, "__wrapped__")
    _, ax = plt.subplots()
    ax.set_xlabel(LABEL)
    assert ax.get_xlabel() == LABEL
    plt.close("all")


def test_every_kind_of_text_is_translated(chinese):
    wanted = translated(LABEL)
    assert wanted != LABEL
    fig, ax = plt.subplots()
    ax.plot([0, 1], label=LABEL)
    ax.set(xlabel=LABEL, ylabel=LABEL, title=LABEL)
    ax.set_xticks([0, 1], [LABEL, "0.5"])
    ax.annotate(LABEL, (0, 0))
    legend = ax.legend(title=LABEL)
    fig.suptitle(LABEL)
    fig.canvas.draw()
    assert LABEL not in [t.get_text() for t in fig.findobj(Text)]
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    written = [ax.texts[0], legend.get_title(), *legend.get_texts()]
    assert {t.get_text() for t in written} == {wanted}
    assert {ax.get_xlabel(), ax.get_ylabel(), ax.get_title(), fig.get_suptitle()} == {wanted}
    assert ticks == [wanted, "0.5"]


def test_tokens_and_words_of_a_text_are_left_as_they_are(chinese):
    token = language.translate("weight", "figure", to="zh_CN")
    assert token != "weight"
    bars = plot.next_token_bars(["weight", "other"], [0.5, 0.25])
    assert [label.get_text() for label in bars.get_yticklabels()] == ["weight", "other"]
    rows = plot.attention_map([[1.0]], ["weight"])
    assert [label.get_text() for label in rows.get_xticklabels()] == ["weight"]


def test_what_no_catalogue_holds_is_drawn_as_it_is(chinese):
    _, ax = plt.subplots()
    ax.set_xlabel("a label that nobody translated, 3 of them")
    assert ax.get_xlabel() == "a label that nobody translated, 3 of them"


def test_a_number_in_a_label_survives_its_translation(chinese, monkeypatch):
    catalogue = {"{0} bits of {1}": "{1} 中的 {0} 比特"}
    monkeypatch.setattr(words, "translate", lambda text, _: catalogue.get(text, text))
    assert words.spoken("7.5 bits of 12") == "12 中的 7.5 比特"


def test_chinese_is_drawn_in_every_style_without_a_box_and_without_a_word_of_warning(
    chinese, caplog
):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        fig, ax = plt.subplots()
        ax.set_title("注意力（权重）", weight="bold")
        ax.set_xlabel("训练步数，《书》", style="italic")
        ax.set_ylabel("损失：τ = 3")
        fig.canvas.draw()
    assert not caplog.records


def test_no_label_of_any_catalogue_lacks_a_glyph():
    ours = TTFont(words.FONT).getBestCmap()
    either = ours.keys() | TTFont(DEJAVU).getBestCmap().keys()
    labels = {m: text for (context, m), text in package_messages().items() if context == "figure"}
    assert labels
    for message, text in labels.items():
        needed = set(text) - {"\n"}
        lacking = {c for c in needed if ord(c) not in (ours if is_chinese(c) else either)}
        assert not lacking, f"{message!r}: run scripts/build_cjk_font.py"


def test_the_font_is_the_recorded_one_and_keeps_to_its_budget():
    manifest = json.loads(words.FONT.with_name("manifest.json").read_text(encoding="utf-8"))
    content = words.FONT.read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest["sha256"]
    assert len(content) < 500_000
    assert manifest["family"] in plt.rcParams["font.family"]
    assert "SIL OPEN FONT LICENSE" in words.FONT.with_name("OFL.txt").read_text(encoding="utf-8")


def test_an_english_figure_is_drawn_alike_with_and_without_the_chinese_font():
    def drawn(families: list[str]) -> bytes:
        with plt.rc_context({"font.family": families}):
            fig, ax = plt.subplots()
            ax.set_title("loss √D ÷ $x^2$ “a”", weight="bold")
            fig.canvas.draw()
            content = bytes(fig.canvas.buffer_rgba())
            plt.close(fig)
            return content

    assert plot is not None
    assert drawn(["sans-serif", "llmbook CJK"]) == drawn(["sans-serif"])
