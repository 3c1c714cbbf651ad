"""Figures show the numbers they are given and refuse what does not fit."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from llmbook import plot


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_an_attention_map_has_queries_down_keys_across_and_a_fixed_scale():
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.8, 0.0]])
    ax = plot.attention_map(weights, ["a", "b"], ["x", "y", "z"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    image = ax.images[0]
    assert image.get_clim() == (0.0, 1.0)
    np.testing.assert_allclose(image.get_array(), weights)
    assert "0.80" in [t.get_text() for t in ax.texts]


def test_an_attention_map_refuses_labels_and_values_that_do_not_fit():
    with pytest.raises(ValueError, match="need 1 query and 2 key labels, got 1 and 1"):
        plot.attention_map([[0.5, 0.5]], ["a"])
    with pytest.raises(ValueError, match=r"not in 0 … 1"):
        plot.attention_map([[3.0]], ["a"])
    with pytest.raises(ValueError, match="one head's map"):
        plot.attention_map([0.5], ["a"])


def test_bars_are_as_long_as_the_probabilities_and_mark_the_chosen_token():
    ax = plot.next_token_bars(["a", "b"], torch.tensor([0.75, 0.25]), chosen="b")
    assert [bar.get_width() for bar in ax.patches] == [0.75, 0.25]
    assert [t.get_text().strip() for t in ax.texts] == ["75.0%", "25.0%"]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()
    with pytest.raises(ValueError, match="2 tokens need as many"):
        plot.next_token_bars(["a", "b"], [1.0])


def test_a_loss_curve_draws_training_validation_and_levels():
    log = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "val_loss": 2.5}]
    ax = plot.loss_curve(log, levels={"uniform": 3.4})
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines]
    assert drawn[:2] == [([1, 2], [3.0, 2.0]), ([2], [2.5])]
    assert drawn[2][1] == [3.4, 3.4]
    assert "uniform" in [t.get_text() for t in ax.texts]
    with pytest.raises(ValueError, match="empty log"):
        plot.loss_curve([])


def test_functions_draw_where_they_are_told():
    _, ax = plt.subplots()
    assert plot.attention_map([[1.0]], ["a"], ax=ax) is ax
