"""Exercises and quiz of chapter 6: neural networks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# 06.initial_std --------------------------------------------------------------------------------


def initial_std(fan_in: int, fan_out: int, slope: float) -> float:
    """Standard deviation of first weights that keep the mean square as it is.

    Args:
        fan_in: how many inputs each unit adds up.
        fan_out: how many units the layer has.
        slope: the unit gives z where z > 0, and slope · z elsewhere; 0 is ReLU,
            1 the identity.
    Returns:
        The standard deviation of independent weights with mean 0.
    """
    return math.sqrt(2 / ((1 + slope**2) * fan_in))


def _std_variance(fan_in: int, fan_out: int, slope: float) -> float:
    return 2 / ((1 + slope**2) * fan_in)


def _std_no_relu(fan_in: int, fan_out: int, slope: float) -> float:
    return math.sqrt(1 / fan_in)


def _std_fan_out(fan_in: int, fan_out: int, slope: float) -> float:
    return math.sqrt(2 / ((1 + slope**2) * fan_out))


def _std_always_relu(fan_in: int, fan_out: int, slope: float) -> float:
    return math.sqrt(2 / fan_in)


def _std_glorot(fan_in: int, fan_out: int, slope: float) -> float:
    return math.sqrt(2 / (fan_in + fan_out))


def _std_slope_not_squared(fan_in: int, fan_out: int, slope: float) -> float:
    return math.sqrt(2 / ((1 + slope) * fan_in))


def _std_cases(g: torch.Generator) -> list[Case]:
    cases = [Case((7, 13, 0.0), note="ReLU"), Case((11, 5, 1.0), note="the identity")]
    for _ in range(4):
        fan_in, fan_out = (int(torch.randint(2, 600, (), generator=g)) for _ in range(2))
        slope = round(0.05 + 0.8 * float(torch.rand((), generator=g)), 2)
        cases.append(
            Case(
                (fan_in, fan_out, slope),
                note=say(
                    "{fan_in} in, {fan_out} out, {slope}",
                    fan_in=fan_in,
                    fan_out=fan_out,
                    slope=slope,
                ),
            )
        )
    return cases


def _std_keeps_the_mean_square(answer: Any) -> None:
    g = torch.Generator().manual_seed(3)
    x = torch.randn(500, 400, generator=g)
    for _ in range(8):
        z = x @ (torch.randn(400, 400, generator=g) * float(answer(400, 400, 0.2)))
        x = torch.where(z > 0, z, 0.2 * z)
    square = float(x.square().mean())
    assert 0.6 < square < 1.6, say(
        "After eight layers the mean square is {square:.3g}, not near 1.", square=square
    )


_INITIAL_STD = Exercise(
    id="06.initial_std",
    title="First weights for a leaky unit",
    statement=(
        "A *leaky* ReLU gives z where z is positive and a·z elsewhere, with a small slope a. Write "
        "`initial_std(fan_in, fan_out, slope)`: the standard deviation of the first weights with "
        "which the mean square of the signal stays the same from layer to layer on the way "
        "forward. Inputs and weights are independent, the weights have mean 0 and are symmetric, "
        "there are no biases. With `fan_in = 8`, `fan_out = 3` and `slope = 0` it is 0.5; with "
        "`slope = 1` the unit is the identity, and it is 0.3536."
    ),
    solution=initial_std,
    example=Case((8, 3, 0.0), note="the printed example"),
    cases=_std_cases,
    properties=[
        Property("The mean square survives eight layers of 400 units.", _std_keeps_the_mean_square)
    ],
    misconceptions=[
        Misconception(
            "variance",
            _std_variance,
            "This is the variance of the weights. The standard deviation is its square root.",
        ),
        Misconception(
            "no_relu",
            _std_no_relu,
            "1/fan_in is right for the identity. A rectifier shrinks half of the signal: the mean "
            "square after it is (1 + slope²)/2 of what it was before. Make up for that.",
        ),
        Misconception(
            "fan_out",
            _std_fan_out,
            "You divide by the number of units. On the way forward each unit adds up its "
            "*inputs*, so it is fan_in that counts (fan_out counts on the way back).",
        ),
        Misconception(
            "always_relu",
            _std_always_relu,
            "This is right for slope 0. With another slope the negative half survives in part: "
            "the mean square after the unit is (1 + slope²)/2 of the one before.",
        ),
        Misconception(
            "glorot",
            _std_glorot,
            "This is Glorot's compromise between the way forward and the way back, for units that "
            "are nearly linear. Here only the way forward is asked for, with a leaky unit.",
        ),
        Misconception(
            "slope_not_squared",
            _std_slope_not_squared,
            "The slope multiplies the signal, so the mean square is multiplied by its *square*.",
        ),
    ],
    nudges=[
        "Two steps. What does a sum of fan_in products do to the mean square? What does the unit "
        "do to it?",
        "Half of the sums are positive and keep their square, half are negative and keep slope² "
        "of it. Set the product of both factors to 1.",
    ],
    success="A signal with these weights neither fades nor grows, at any width and any slope.",
    remark="Slope 0 gives the rule of He et al. 2015 for ReLU, slope 1 that of a linear layer.",
)

# 06.backward -----------------------------------------------------------------------------------


def backward(nodes: list[tuple]) -> list[float]:
    """Derivatives of the last node with respect to every node of a graph.

    Args:
        nodes: in the order of computation. ("leaf", value); ("add", i, j) and
            ("mul", i, j) of the nodes with the indices i and j, which may be
            equal; ("tanh", i).
    Returns:
        For each node: the derivative of the last node with respect to it, summed
        over all paths.
    """
    values: list[float] = []
    for kind, *rest in nodes:
        if kind == "leaf":
            values.append(float(rest[0]))
        elif kind == "tanh":
            values.append(math.tanh(values[rest[0]]))
        else:
            a, b = values[rest[0]], values[rest[1]]
            values.append(a + b if kind == "add" else a * b)
    slopes = [0.0] * len(nodes)
    slopes[-1] = 1.0
    for n in reversed(range(len(nodes))):
        kind, *rest = nodes[n]
        if kind == "add":
            slopes[rest[0]] += slopes[n]
            slopes[rest[1]] += slopes[n]
        elif kind == "mul":
            slopes[rest[0]] += slopes[n] * values[rest[1]]
            slopes[rest[1]] += slopes[n] * values[rest[0]]
        elif kind == "tanh":
            slopes[rest[0]] += slopes[n] * (1 - values[n] ** 2)
    return slopes


def _walk(nodes: list[tuple], flaw: str = "") -> list[float]:
    """The solution with one flaw."""
    values: list[float] = []
    for kind, *rest in nodes:
        if kind == "leaf":
            values.append(float(rest[0]))
        elif kind == "tanh":
            values.append(math.tanh(values[rest[0]]))
        else:
            a, b = values[rest[0]], values[rest[1]]
            values.append(a + b if kind == "add" else a * b)
    slopes = [0.0] * len(nodes)
    slopes[-1] = 0.0 if flaw == "seed" else 1.0
    order = range(len(nodes))
    for n in order if flaw == "forwards" else reversed(order):
        kind, *rest = nodes[n]
        up = 1.0 if flaw == "local" else slopes[n]
        if kind == "leaf":
            continue
        if kind == "tanh":
            at = values[rest[0]] if flaw == "input" else values[n]
            local = [1 - math.tanh(at) ** 2 if flaw == "twice" else 1 - at**2]
        elif kind == "add":
            local = [1.0, 1.0]
        else:
            local = [values[rest[1]], values[rest[0]]]
            if flaw == "own":
                local.reverse()
        steps = dict(zip(rest, local, strict=True))  # a parent that is there twice, once
        for i, d in steps.items() if flaw == "once" else zip(rest, local, strict=True):
            slopes[i] = up * d if flaw == "assign" else slopes[i] + up * d
    return slopes


def _backward_assigns(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "assign")


def _backward_equal_once(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "once")


def _backward_own_value(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "own")


def _backward_tanh_of_input(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "input")


def _backward_tanh_twice(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "twice")


def _backward_forwards(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "forwards")


def _backward_no_seed(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "seed")


def _backward_local_only(nodes: list[tuple]) -> list[float]:
    return _walk(nodes, "local")


def _random_nodes(g: torch.Generator, n_leaves: int, n_steps: int) -> list[tuple]:
    signs = 1 - 2 * torch.randint(2, (n_leaves,), generator=g)
    draw = (0.3 + torch.rand(n_leaves, generator=g)) * signs
    nodes: list[tuple] = [("leaf", round(float(x), 2)) for x in draw]
    for _ in range(n_steps):
        kind = ("add", "mul", "tanh")[int(torch.randint(3, (), generator=g))]
        i, j = (int(torch.randint(len(nodes), (), generator=g)) for _ in range(2))
        nodes.append((kind, i) if kind == "tanh" else (kind, i, j))
    last = len(nodes) - 1
    return [*nodes, ("tanh", last), ("mul", last + 1, 0)]


def _backward_cases(g: torch.Generator) -> list[Case]:
    a, b = (round(0.4 + float(torch.rand((), generator=g)), 2) for _ in range(2))
    reused = [("leaf", a), ("leaf", b), ("mul", 0, 1), ("tanh", 2), ("add", 3, 0), ("mul", 4, 3)]
    return [
        Case((reused,), note="two leaves, both used again"),
        Case(([("leaf", a), ("mul", 0, 0), ("mul", 1, 1)],), note="a number times itself, twice"),
        Case(([("leaf", b)],), note="a single leaf"),
        Case((_random_nodes(g, 3, 5),), note="a random graph of 3 leaves"),
        Case((_random_nodes(g, 5, 11),), note="a random graph of 5 leaves"),
    ]


_BACKWARD = Exercise(
    id="06.backward",
    title="The way back through a graph",
    statement=(
        "Write `backward(nodes)`. A graph of numbers is a list in the order of computation: "
        '`("leaf", value)`, `("add", i, j)`, `("mul", i, j)` and `("tanh", i)`, where i and j are '
        "the places of earlier nodes and may be equal. Compute all values, then the derivative of "
        "the last node with respect to *every* node. With "
        '`[("leaf", 2), ("leaf", 3), ("mul", 0, 1), ("add", 2, 0)]`, which is a·b + a, the answer '
        "is `[4, 2, 1, 1]`."
    ),
    solution=backward,
    example=Case(
        ([("leaf", 2.0), ("leaf", 3.0), ("mul", 0, 1), ("add", 2, 0)],), note="the printed example"
    ),
    cases=_backward_cases,
    misconceptions=[
        Misconception(
            "assigns",
            _backward_assigns,
            "Where a node is used twice, one of its two contributions is lost: a later path has "
            "overwritten an earlier one. A derivative sums over all paths: `+=`, not `=`.",
        ),
        Misconception(
            "equal_once",
            _backward_equal_once,
            "Where both parents are the same node, as in x·x or x + x, you count it once. There "
            "are two paths into it, and both contributions are added.",
        ),
        Misconception(
            "own_value",
            _backward_own_value,
            "Look at the multiplication: the derivative of a·b with respect to a is **b**, the "
            "value of the *other* factor. Yours multiplies by a itself.",
        ),
        Misconception(
            "tanh_of_input",
            _backward_tanh_of_input,
            "Look at tanh: its derivative is 1 − tanh²(z). You square z, the number that went in; "
            "square the value that came out.",
        ),
        Misconception(
            "tanh_twice",
            _backward_tanh_twice,
            "Look at tanh: you take the tanh of a value that is a tanh already. The derivative is "
            "1 minus the square of the node's own value.",
        ),
        Misconception(
            "forwards",
            _backward_forwards,
            "You walk from the leaves upwards, so a node passes on its derivative before anything "
            "has arrived there. Go through the list in reverse.",
        ),
        Misconception(
            "no_seed",
            _backward_no_seed,
            "Everything is 0, since nothing was there to be passed on. The derivative of the last "
            "node with respect to itself is 1: begin with that.",
        ),
        Misconception(
            "local_only",
            _backward_local_only,
            "You add up the derivatives of single steps without multiplying along the way. The "
            "chain rule multiplies what has arrived at a node by the derivative of that step.",
        ),
    ],
    nudges=[
        "Two lists of equal length: values, filled from first to last, and derivatives, filled "
        "from last to first. What is the derivative of the last node with respect to itself?",
        "At each node: take what has arrived there, multiply by the derivative of the step, and "
        "**add** the product to the parents' entries.",
    ],
    success="One walk back gives the derivative with respect to every node, however often each "
    "is used.",
    remark="The list is in topological order from the start, so no sorting is needed: every node "
    "stands behind those that it was made of.",
)

# 06.lstm_step ----------------------------------------------------------------------------------


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM with a forget gate.

    Args:
        x: input (B, E).
        h: state before (B, D).
        c: cell before (B, D).
        w: weights of the input (4D, E): input gate, forget gate, candidate,
            output gate, in this order.
        u: weights of the state (4D, D), in the same order.
        b: biases (4D,), in the same order.
    Returns:
        The state and the cell after the step, (B, D) each.
    """
    i, f, g, o = (x @ w.T + h @ u.T + b).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gates(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    return (x @ w.T + h @ u.T + b).chunk(4, dim=-1)


def _lstm_no_forget(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    i, _, g, o = _gates(x, h, w, u, b)
    c = c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _lstm_swapped(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    f, i, g, o = _gates(x, h, w, u, b)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _lstm_sigmoid_candidate(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = _gates(x, h, w, u, b)
    c = f.sigmoid() * c + i.sigmoid() * g.sigmoid()
    return o.sigmoid() * c.tanh(), c


def _lstm_no_output_tanh(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = _gates(x, h, w, u, b)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c, c


def _lstm_old_cell(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = _gates(x, h, w, u, b)
    return o.sigmoid() * c.tanh(), f.sigmoid() * c + i.sigmoid() * g.tanh()


def _lstm_forgets_h(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, g, o = _gates(x, h, w, u, b)
    c = f.sigmoid() * h + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _lstm_order(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, u: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    i, f, o, g = _gates(x, h, w, u, b)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _lstm_case(g: torch.Generator, n: int, e: int, d: int, note: str) -> Case:
    shapes = [(n, e), (n, d), (n, d), (4 * d, e), (4 * d, d), (4 * d,)]
    x, h, c, w, u, b = (torch.randn(s, generator=g) for s in shapes)
    return Case((x, h.tanh(), 2 * c, w, u, b), note=note)


def _lstm_cases(g: torch.Generator) -> list[Case]:
    return [
        _lstm_case(g, 2, 3, 5, "B=2, E=3, D=5"),
        _lstm_case(g, 7, 5, 2, "B=7, E=5, D=2"),
        _lstm_case(g, 1, 1, 1, "B=E=D=1"),
        _lstm_case(g, 3, 11, 7, "B=3, E=11, D=7"),
    ]


def _lstm_keeps(answer: Any) -> None:
    c = torch.tensor([[0.7, -1.3]])
    b = torch.tensor([-50.0, -50, 50, 50, 0, 0, 0, 0])
    _, kept = answer(
        torch.zeros(1, 1), torch.zeros(1, 2), c, torch.zeros(8, 1), torch.zeros(8, 2), b
    )
    assert torch.allclose(kept, c, atol=1e-4), say(
        "The cell went from {a} to {b}.", a=c.tolist(), b=kept.tolist()
    )


_LSTM_STEP = Exercise(
    id="06.lstm_step",
    title="One step of an LSTM",
    statement=(
        "Write `lstm_step(x, h, c, w, u, b)`: one step of an LSTM with a forget gate, for a batch. "
        "The rows of `w` (4D, E), `u` (4D, D) and `b` (4D,) belong, D each, to the input gate, the "
        "forget gate, the candidate and the output gate, as in PyTorch. Return the new state and "
        "the new cell. With all weights and biases 0 every gate is ½ and the candidate is 0, so "
        "`c = [[2]]` becomes `[[1]]`, and the state ½ · tanh(1) = `[[0.3808]]`."
    ),
    solution=lstm_step,
    example=Case(
        (
            torch.tensor([[1.0]]),
            torch.tensor([[1.0]]),
            torch.tensor([[2.0]]),
            torch.zeros(4, 1),
            torch.zeros(4, 1),
            torch.zeros(4),
        ),
        note="the printed example",
    ),
    cases=_lstm_cases,
    properties=[
        Property("With the forget gate open and the input gate shut the cell stays.", _lstm_keeps)
    ],
    misconceptions=[
        Misconception(
            "no_forget",
            _lstm_no_forget,
            "The old cell is kept whole, so it can only be added to. That was the LSTM of 1997; "
            "here the forget gate multiplies the old cell.",
        ),
        Misconception(
            "swapped",
            _lstm_swapped,
            "Input gate and forget gate have changed places. The first D rows are the input gate, "
            "which multiplies the candidate; the second D the forget gate.",
        ),
        Misconception(
            "sigmoid_candidate",
            _lstm_sigmoid_candidate,
            "Your candidate is never negative: the cell can only grow. Gates are sigmoids, the "
            "candidate is a tanh.",
        ),
        Misconception(
            "no_output_tanh",
            _lstm_no_output_tanh,
            "The cell is right, the state is too large: it can leave −1…1. What the output gate "
            "lets through is tanh of the cell.",
        ),
        Misconception(
            "old_cell",
            _lstm_old_cell,
            "The cell is right, the state lags one step behind: it must be computed from the "
            "*new* cell.",
        ),
        Misconception(
            "forgets_h",
            _lstm_forgets_h,
            "Your forget gate multiplies the old state h. What is carried along from step to step "
            "is the cell c.",
        ),
        Misconception(
            "order",
            _lstm_order,
            "Candidate and output gate have changed places: the third block of rows is the "
            "candidate, the fourth the output gate.",
        ),
    ],
    nudges=[
        "One sum makes all four: `x @ w.T + h @ u.T + b`, of shape (B, 4D). `chunk(4, dim=-1)` "
        "cuts it.",
        "Three gates are sigmoids, the candidate is a tanh. New cell: forget · old + input · "
        "candidate. New state: output · tanh(new cell).",
    ],
    success="This is the step that torch.nn.LSTM repeats.",
    remark="The old cell enters the new one with a factor and nothing else: no weight matrix, no "
    "squashing. That factor is what the gradient meets on its way back.",
)

# 06.truncated_gradient -------------------------------------------------------------------------


def truncated_gradient(w: float, u: float, xs: list[float], k: int) -> float:
    """Derivative of the last state with respect to w, through the last k steps only.

    The network has one unit: h_t = tanh(w · h_{t−1} + u · x_t), with h_0 = 0.

    Args:
        w: weight of the state before.
        u: weight of the input.
        xs: the inputs x_1 … x_T, at least one.
        k: how many steps the gradient may use, at least one. The state that
            enters the first of them counts as a constant, as after `detach`.
    Returns:
        The truncated derivative. With k of T or more it is the whole one.
    """
    states = [0.0]
    for x in xs:
        states.append(math.tanh(w * states[-1] + u * x))
    total, arrived = 0.0, 1.0
    for t in range(len(xs), max(0, len(xs) - k), -1):
        arrived *= 1 - states[t] ** 2  # through the tanh of step t
        total += arrived * states[t - 1]  # w as it is used in step t
        arrived *= w  # on to the state before
    return total


def _truncate(w: float, u: float, xs: list[float], k: int, flaw: str) -> float:
    states = [0.0]
    for x in xs:
        states.append(math.tanh(w * states[-1] + u * x))
    if flaw == "restart":
        states = [0.0] * (len(xs) - k + 1 if k < len(xs) else 1)
        for x in xs[max(0, len(xs) - k) :]:
            states.append(math.tanh(w * states[-1] + u * x))
    total, arrived = 0.0, 1.0
    stop = max(0, len(xs) - k)
    if flaw == "whole":
        stop = 0
    if flaw == "off_by_one":
        stop = max(0, stop - 1)
    for t in range(len(xs), stop, -1):
        if flaw != "no_tanh":
            arrived *= 1 - states[t - 1 if flaw == "slope_before" else t] ** 2
        kept = arrived * states[t if flaw == "own_state" else t - 1]
        total = kept if flaw == "assign" else total + kept
        if flaw != "no_w":
            arrived *= w
    return total


def _truncated_whole(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "whole")


def _truncated_off_by_one(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "off_by_one")


def _truncated_no_tanh(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "no_tanh")


def _truncated_slope_before(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "slope_before")


def _truncated_own_state(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "own_state")


def _truncated_farthest_only(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "assign")


def _truncated_no_w(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "no_w")


def _truncated_restart(w: float, u: float, xs: list[float], k: int) -> float:
    return _truncate(w, u, xs, k, "restart")


def _truncated_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n, k in ((7, 3), (5, 1), (11, 4), (5, 5), (3, 9)):
        w = round(0.6 + float(torch.rand((), generator=g)), 2)
        u = round(0.3 + 0.5 * float(torch.rand((), generator=g)), 2)
        xs = [round(0.2 + float(x), 2) for x in torch.rand(n, generator=g)]
        cases.append(Case((w, u, xs, k), note=f"T={n}, k={k}"))
    return cases


def _truncation_is_detach(answer: Any) -> None:
    w = torch.tensor(1.1, dtype=torch.float64, requires_grad=True)
    h, xs = torch.zeros((), dtype=torch.float64), [0.3, -0.5, 0.8, 0.1, 0.6, -0.2]
    for t, x in enumerate(xs):
        h = torch.tanh(w * (h.detach() if t == len(xs) - 2 else h) + 0.7 * x)
    (expected,) = torch.autograd.grad(h, w)
    found = float(answer(1.1, 0.7, xs, 2))
    assert abs(found - float(expected)) < 1e-6, say(
        "autograd has {expected:.4f}, you {found:.4f}.", expected=expected, found=found
    )


_TRUNCATED_GRADIENT = Exercise(
    id="06.truncated_gradient",
    title="Build truncated backpropagation through time",
    statement=(
        "A network of one unit reads x₁ … x_T: h_t = tanh(w·h_{t−1} + u·x_t), h₀ = 0. Write "
        "`truncated_gradient(w, u, xs, k)`, the derivative of the last state with respect to `w` "
        "through the last k steps only. The states themselves are those of the whole sequence; the "
        "state that enters the first of the k steps counts as a constant, as after `detach`. "
        "Without autograd. With `w = 1`, `u = 1`, `xs = [0.5, 0.5]` the states are 0.4621 and "
        "0.7452, and the answer is 0.2055 for k = 1: what step 1 contributes is 0, since h₀ = 0."
    ),
    solution=truncated_gradient,
    example=Case((1.0, 1.0, [0.5, 0.5], 1), note="the printed example"),
    cases=_truncated_cases,
    properties=[Property("It is what autograd finds after a detach.", _truncation_is_detach)],
    misconceptions=[
        Misconception(
            "whole",
            _truncated_whole,
            "This is the whole derivative: your loop does not stop after k steps.",
        ),
        Misconception(
            "off_by_one",
            _truncated_off_by_one,
            "One step too many: with k = 1 only the step from h_{T−1} to h_T may contribute.",
        ),
        Misconception(
            "no_tanh",
            _truncated_no_tanh,
            "Each step passes through a tanh. Its slope, 1 − h_t², belongs into the product.",
        ),
        Misconception(
            "slope_before",
            _truncated_slope_before,
            "The slope of the tanh of step t is 1 − h_t², from the state that comes *out* of it. "
            "You square h_{t−1}, the state that goes in.",
        ),
        Misconception(
            "own_state",
            _truncated_own_state,
            "In step t the weight w multiplies the state *before*, h_{t−1}. You take h_t.",
        ),
        Misconception(
            "farthest_only",
            _truncated_farthest_only,
            "Only the farthest of the k steps is left: w is used in every one of them, and their "
            "contributions add up.",
        ),
        Misconception(
            "no_w",
            _truncated_no_w,
            "From h_t back to h_{t−1} there are two factors: the slope of tanh, and w.",
        ),
        Misconception(
            "restart",
            _truncated_restart,
            "You start the network anew, with state 0, k steps before the end. Truncation cuts the "
            "*gradient*; the states go on being those of the whole sequence.",
        ),
    ],
    nudges=[
        "First all states, forwards. Then go back from T and carry one number along: the "
        "derivative of h_T with respect to the state you stand at.",
        "At step t: multiply by 1 − h_t², add the product with h_{t−1} to the total, multiply by "
        "w. Stop after k steps.",
    ],
    success="You have written what `detach` does to a recurrent network's gradient.",
    remark="The number carried along is the product of w·(1 − h²): the chain that makes gradients "
    "vanish or explode.",
)

EXERCISES = [_INITIAL_STD, _BACKWARD, _LSTM_STEP, _TRUNCATED_GRADIENT]

QUIZ = [
    Question(
        text="Why must an autograd engine add (+=) what arrives at a node, rather than set it (=)?",
        choices=[
            "Because a node that is used several times influences the result along several paths",
            "Because gradients of several batches are to be averaged",
            "Because the order of the nodes is not known",
        ],
        answer=0,
        why=[
            "The chain rule sums over paths. With = the last path would overwrite the others.",
            "That is another use of adding up, and the reason why gradients must be set to zero "
            "before each step.",
            "The order is known: every node after the nodes it was made of, walked in reverse.",
        ],
    ),
    Question(
        text="The bound on the gradient over k steps is (γσ)ᵏ, with σ the largest singular value "
        "of the recurrent matrix and γ the steepest slope of the unit. What does γσ > 1 say?",
        choices=[
            "That the gradient explodes",
            "That the gradient may explode, and may vanish all the same",
            "That the gradient does not vanish",
        ],
        answer=1,
        why=[
            "An upper bound above 1 promises nothing: saturated units can make every factor small.",
            "γσ < 1 is sufficient for vanishing; γσ > 1 is necessary for exploding, no more.",
            "It can vanish: where tanh saturates, its slope is far below γ.",
        ],
    ),
    Question(
        text="An encoder-decoder without attention copies 6 letters well and 14 badly. What helps "
        "least, by the measurements of this chapter?",
        choices=[
            "A wider state",
            "Attention over the encoder's states",
            "Testing with more sequences",
        ],
        answer=2,
        why=[
            "Each doubling of the width moved the fall to longer sequences.",
            "It moved the fall beyond the longest sequences that were trained on.",
            "That makes the interval narrower and leaves the model as it is.",
        ],
    ),
]
