"""The temperature explorer: one next-token distribution, reshaped and drawn from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import Numbers, as_array, milli, same_length, visible

BIN = 0.2
"""Width, in logits, of the bins that hold the tokens which are not shown by name."""


def next_token_context(
    prompt: str,
    logits: Numbers,
    token_strs: Sequence[str] | Callable[[int], str],
    *,
    k: int = 40,
) -> dict[str, Any]:
    """One prompt's next-token logits, kept small: the k best by name, the others in bins.

    The probability of all the others depends on the temperature, so one number cannot stand for
    them. They are counted in bins 0.2 logits wide, each with its mean, which gives their share
    to within 0.7 % of itself at temperature 0.5 and better above.

    Args:
        prompt: the text before the token.
        logits: (V,), in double precision where the output must repeat elsewhere.
        token_strs: V strings, or a function from an id to its string.
        k: how many tokens are kept by name.
    """
    scores = as_array(logits, "logits")
    if scores.ndim != 1 or len(scores) < 2:
        raise ValueError(f"logits must have shape (V,), not {scores.shape}")
    if not callable(token_strs):
        same_length(len(scores), token_strs=token_strs)
    name = token_strs if callable(token_strs) else token_strs.__getitem__
    order = np.argsort(-np.round(scores, 9), kind="stable")
    top, others = order[:k], order[k:]
    relative = scores - scores[order[0]]
    counts, means = _bins(relative[others])
    return {
        "prompt": prompt,
        "tokens": [name(int(i)) for i in top],
        "logits": relative[top],
        "rest_counts": counts,
        "rest_logits": means,
    }


def _bins(values: NDArray[np.float64]) -> tuple[list[int], list[float]]:
    """Counts and means of descending values, in bins of width ``BIN``."""
    if not len(values):
        return [], []
    indices = np.floor(np.round(-values / BIN, 9)).astype(int)
    found = np.unique(indices)
    return [int((indices == i).sum()) for i in found], [
        float(values[indices == i].mean()) for i in found
    ]


def temperature_explorer(
    contexts: Sequence[Mapping[str, Any]],
    *,
    temperature: float | int = 1.0,
    seed: int = 0,
    caption: str = "",
) -> Component:
    """Reshape next-token distributions with temperature, top-k and top-p, and draw from them.

    Args:
        contexts: from ``next_token_context``, or mappings with ``prompt``, ``tokens`` and
            ``logits`` where the tokens are the whole vocabulary.
        temperature: at first, between 0 (greedy) and 2.
        seed: of the draws; they start again from it on "reset".
    Raises:
        ValueError: without a context, or with one whose lengths differ.

    Taught in chapters 1 and 14.
    """
    if not contexts:
        raise ValueError("the temperature explorer needs at least one context")
    if not 0 <= temperature <= 2:
        raise ValueError(f"temperature is {temperature}, but must lie in 0..2")
    packed = [_pack(context) for context in contexts]
    data: dict[str, object] = {
        "contexts": packed,
        "temperature": round(temperature * 100),
        "seed": int(seed),
    }
    static = "".join(_static_table(context) for context in packed[:1])
    summary = f"{len(packed)} prompt{'s' if len(packed) > 1 else ''}"
    return Component("temperature_explorer", data, static, summary, caption)


def _pack(context: Mapping[str, Any]) -> dict[str, Any]:
    logits = as_array(context["logits"], "logits")
    tokens = [visible(token) for token in context["tokens"]]
    same_length(len(logits), tokens=tokens)
    if len(tokens) < 2:
        raise ValueError("a context needs at least two tokens")
    order = np.argsort(-np.round(logits, 9), kind="stable")
    counts = [int(c) for c in context.get("rest_counts", [])]
    best = float(logits[order[0]])
    return {
        "prompt": str(context["prompt"]),
        "tokens": [tokens[i] for i in order],
        "logits": milli(logits[order] - best, "logits"),
        "rest_counts": counts,
        "rest_logits": milli(as_array(context.get("rest_logits", []), "rest_logits"), "rest"),
    }


def probabilities(context: Mapping[str, Any], temperature: float | int) -> NDArray[np.float64]:
    """Named tokens' probabilities, then the sum of all others, from a packed context."""
    named = np.exp(np.array(context["logits"]) / 1000 / temperature)
    rest = np.exp(np.array(context["rest_logits"], dtype=float) / 1000 / temperature)
    others = float((np.array(context["rest_counts"], dtype=float) * rest).sum())
    return np.append(named, others) / (named.sum() + others)


def _static_table(context: Mapping[str, Any], rows: int = 8) -> str:
    temperatures = (0.5, 1.0, 1.5)
    columns = [probabilities(context, temperature) for temperature in temperatures]
    shown = context["tokens"][:rows]
    body = [
        [token, *(f"{100 * column[i]:.1f} %" for column in columns)]
        for i, token in enumerate(shown)
    ]
    left = [f"{100 * (1 - column[: len(shown)].sum()):.1f} %" for column in columns]
    here = "temperature_explorer"
    column = translate("temperature {t}", here)
    head = [translate("next token", here), *(column.format(t=f"{t:g}") for t in temperatures)]
    title = translate("After “{prompt}”", here).format(prompt=context["prompt"])
    return svg.table(title, head, [*body, [translate("all others", here), *left]])
