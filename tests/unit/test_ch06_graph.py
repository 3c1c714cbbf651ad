"""The graph player's builder: derivatives as autograd's, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from llmbook import web
from llmbook.web.graph import differentiate

LEAVES = [("w", 1.5), ("h", 0.5), ("x", 0.2)]
STEPS = [
    ("p", "mul", "w", "h"),
    ("q", "add", "p", "x"),
    ("r", "tanh", "q"),
    ("s", "mul", "w", "r"),
    ("t", "mul", "s", "s"),
    ("L", "add", "t", "x"),
]


def test_derivatives_of_a_graph_are_those_of_autograd():
    w, h, x = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for _, v in LEAVES)
    s = w * torch.tanh(w * h + x)
    (s * s + x).backward()
    found = differentiate(LEAVES, STEPS)
    for name, leaf in zip("whx", (w, h, x), strict=True):
        assert found[name][1] == pytest.approx(leaf.grad.item(), abs=1e-12)
    assert found["L"] == (pytest.approx((s * s + x).item()), 1.0)


def test_a_square_by_hand():
    found = differentiate([("x", 3.0)], [("L", "mul", "x", "x")])
    assert found == {"x": (3.0, 6.0), "L": (9.0, 1.0)}


def test_the_picture_says_every_value_and_derivative():
    player = web.graph_player([("x·x", [("x", 3.0)], [("L", "mul", "x", "x")])])
    assert "x 3.000 with derivative 6.000" in player.static
    assert player.data["graphs"][0]["steps"] == [["mul", 0, 0]]


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        ([], "at least one graph"),
        ([("t", [], [("L", "add", "a", "a")])], "needs leaves"),
        ([("t", [("a", 1.0)], [("L", "exp", "a")])], "no known step"),
        ([("t", [("a", 1.0)], [("L", "add", "a")])], "no known step"),
        ([("t", [("a", 1.0)], [("L", "add", "a", "z")])], r"uses \['z'\]"),
        ([("t", [("a", 1.0)], [("a", "tanh", "a")])], "used already"),
    ],
)
def test_a_player_refuses_what_is_no_graph(graphs, message):
    with pytest.raises(ValueError, match=message):
        web.graph_player(graphs)
