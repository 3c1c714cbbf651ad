"""A mark of punctuation stays on the line of the formula before it."""

from __future__ import annotations

import pytest
from docutils import nodes
from docutils.utils import new_document
from llmbook_site.punctuation import keep_together


def written(*parts: nodes.Node) -> nodes.paragraph:
    """A paragraph of these parts, after the transform."""
    document = new_document("page")
    paragraph = nodes.paragraph("", "", *parts)
    document += paragraph
    keep_together(document)
    return paragraph


def formula(tex: str) -> nodes.math:
    return nodes.math(tex, tex)


@pytest.mark.parametrize("marks", ["。", "，", "）。", ".", "),", "”"])
def test_a_formula_and_the_marks_after_it_are_wrapped_together(marks):
    paragraph = written(nodes.Text("若 "), formula("a^2"), nodes.Text(f"{marks}然后"))
    whole = paragraph[1]
    assert whole["classes"] == ["book-together"]
    assert (whole.astext(), paragraph[2].astext()) == (f"a^2{marks}", "然后")


@pytest.mark.parametrize("after", [" and so on", "（许多", "的平方"])
def test_words_after_a_formula_may_stand_on_the_next_line(after):
    paragraph = written(formula("a^2"), nodes.Text(after))
    assert not list(paragraph.findall(nodes.inline))


def test_a_long_formula_is_left_alone():
    paragraph = written(formula("a + " * 20), nodes.Text("。"))
    assert not list(paragraph.findall(nodes.inline))


def test_a_formula_at_the_end_of_a_paragraph_is_left_alone():
    assert not list(written(formula("a")).findall(nodes.inline))


def test_nothing_is_lost_or_added():
    parts = [formula("a"), nodes.Text("、"), formula("b"), nodes.Text("，"), formula("c")]
    assert written(*parts).astext() == "a、b，c"
