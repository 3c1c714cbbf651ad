"""The timeline's table is complete and consistent, and its figure shows what the table says."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from llmbook.plot.timeline import parse_count, parse_date, timeline

TABLE = Path(__file__).parents[2] / "src/llmbook/assets/tables/timeline.csv"
BIBLIOGRAPHY = Path(__file__).parents[2] / "book/references.bib"
COUNTS = ("parameters", "active_parameters", "training_tokens")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def ax():
    _, axes = plt.subplots()
    yield axes
    plt.close("all")


def row(**changes: str) -> dict[str, str]:
    base = dict.fromkeys((*COUNTS, "open_weights"), "")
    return {**base, "model": "Toy", "date": "2020-05", **changes}


def circles(axes) -> list:
    return [line for line in axes.lines if line.get_marker() == "o"]


@pytest.mark.parametrize(
    ("text", "value"), [("175000000000", 175_000_000_000), ("unpublished", None), ("", None)]
)
def test_a_count_is_a_number_or_nothing(text: str, value: int | None) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize("text", ["175B", "1.5e9", "-3", "0", "~7", "unknown"])
def test_a_count_written_otherwise_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_count(text)


def test_dates_may_be_vague_but_not_wrong() -> None:
    assert parse_date("2014") == date(2014, 1, 1)
    assert parse_date("2020-05") == date(2020, 5, 1)
    assert parse_date("2021-08-01") == date(2021, 8, 1)
    with pytest.raises(ValueError, match="May 2020"):
        parse_date("May 2020")
    with pytest.raises(ValueError, match="month"):
        parse_date("2020-13")


def test_rows_are_sorted_unique_and_filled_in(rows: list[dict[str, str]]) -> None:
    assert len(rows) >= 30
    assert len({r["model"] for r in rows}) == len(rows)
    dates = [parse_date(r["date"]) for r in rows]
    assert dates == sorted(dates)
    for r in rows:
        for column in ("developer", "kind", "key", "opened"):
            assert r[column].strip(), f"{r['model']}: {column} is empty"
        assert r["source"].startswith("https://"), r["model"]
        assert r["checked"] in {"developer", "copy", "computed", "secondary"}, r["model"]
        assert r["open_weights"] in {"yes", "research", "no", ""}, r["model"]
        assert r["kind"] in {"word vectors", "encoder", "encoder-decoder", "generator"}, r["model"]


def test_counts_are_plausible(rows: list[dict[str, str]]) -> None:
    for r in rows:
        total, active, tokens = (parse_count(r[column]) for column in COUNTS)
        assert total is None or 10**7 < total < 10**14, r["model"]
        assert tokens is None or 10**8 < tokens < 10**14, r["model"]
        assert active is None or (total is not None and active < total), r["model"]


def test_a_size_that_was_never_published_stays_unpublished(rows: list[dict[str, str]]) -> None:
    table = {r["model"]: r for r in rows}
    for model in ("GPT-4", "Claude", "Gemini 1.0 Ultra", "GPT-5"):
        assert table[model]["parameters"] == "unpublished"
        assert table[model]["open_weights"] == "no"


def test_sizes_that_can_be_recomputed_agree_with_the_shapes(rows: list[dict[str, str]]) -> None:
    """Blocks of 12·d² plus embeddings: GPT (exact), and Jurassic-1's own table 1 (to 1 %)."""
    table = {r["model"]: parse_count(r["parameters"]) for r in rows}
    d, layers = 768, 12
    gpt = (40478 + 512) * d + layers * (12 * d * d + 13 * d)
    assert table["GPT"] == gpt
    jurassic = 256_000 * 13824 + 76 * 12 * 13824**2
    assert abs(table["Jurassic-1 Jumbo"] / jurassic - 1) < 0.01


def test_every_key_is_in_the_bibliography(rows: list[dict[str, str]]) -> None:
    keys = set(re.findall(r"@\w+\{([^,\s]+),", BIBLIOGRAPHY.read_text(encoding="utf-8")))
    assert {r["key"] for r in rows} <= keys


def test_each_published_size_is_drawn_once(rows: list[dict[str, str]], ax) -> None:
    published = [parse_count(r["parameters"]) for r in rows if parse_count(r["parameters"])]
    drawn = [int(line.get_xdata()[0]) for line in circles(timeline(rows, ax))]
    assert drawn == published


def test_open_weights_are_filled_and_closed_ones_hollow(ax) -> None:
    toys = [row(parameters="1000000000", open_weights=state) for state in ("yes", "no")]
    filled, hollow = circles(timeline(toys, ax))
    assert filled.get_markerfacecolor() == filled.get_markeredgecolor()
    assert hollow.get_markerfacecolor() == "white"


def test_an_unpublished_size_is_said_in_words_and_not_drawn(ax) -> None:
    timeline([row(parameters="unpublished", training_tokens="unpublished")], ax)
    assert circles(ax) == []
    assert "size unpublished" in [text.get_text() for text in ax.texts]


def test_rows_in_any_order_are_drawn_by_date(ax) -> None:
    timeline([row(model="New", date="2023"), row(model="Old", date="2013")], ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Old", "New"]


def test_a_timeline_makes_its_own_figure_and_shows_nothing(rows, monkeypatch) -> None:
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("plot functions never show"))
    axes = timeline(rows)
    assert axes.figure.get_size_inches()[1] > 6
    plt.close("all")


def test_the_axis_encloses_every_count_and_names_its_decades(ax) -> None:
    timeline([row(parameters="7300000", training_tokens="36000000000000")], ax)
    assert ax.get_xlim() == (10**6, 10**14)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["1 M", "100 M", "10 B", "1 T", "100 T"]


def test_an_empty_timeline_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        timeline([])
