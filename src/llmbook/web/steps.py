"""A generation that can be walked through, one token at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import as_array, same_length, visible

UNITS = 10_000
"""A probability is an integer number of ten-thousandths."""


def step_generator(
    prompt: str, steps: Sequence[Mapping[str, Any]], *, caption: str = ""
) -> Component:
    """Walk through a generation: the text so far, the likeliest next tokens, the one chosen.

    Args:
        prompt: the text that the generation began with.
        steps: one mapping per generated token: ``tokens`` and ``probs``, the most probable ones in
            falling order, ``chosen``, the token that was taken, and ``prob``, its probability.
    Raises:
        ValueError: without steps, or where lengths or probabilities are wrong.

    Taught in chapter 1.
    """
    if not steps:
        raise ValueError("a generation needs at least one step")
    packed = [_pack(step, i) for i, step in enumerate(steps)]
    data: dict[str, object] = {"prompt": prompt, "steps": packed}
    return Component(
        "step_generator", data, _static(prompt, packed), f"{len(packed)} steps", caption
    )


def plain(token: str) -> str:
    """The text that a token adds, from a string in which white space may be made visible."""
    return token.replace("␣", " ").replace("⏎", "\n").replace("⇥", "\t")


def _pack(step: Mapping[str, Any], i: int) -> dict[str, Any]:
    probabilities = as_array(step["probs"], f"the probabilities of step {i}")
    tokens = [visible(token) for token in step["tokens"]]
    same_length(len(probabilities), tokens=tokens)
    chosen = float(step["prob"])
    if not 0 <= chosen <= 1 or (probabilities < 0).any() or probabilities.sum() > 1.001:
        raise ValueError(f"the probabilities of step {i} do not lie in 0..1 or sum to more than 1")
    return {
        "tokens": tokens,
        "probs": [round(p * UNITS) for p in probabilities.tolist()],
        "chosen": visible(step["chosen"]),
        "text": plain(step["chosen"]),
        "prob": round(chosen * UNITS),
    }


def _static(prompt: str, steps: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for i, step in enumerate(steps):
        pairs = list(zip(step["tokens"], step["probs"], strict=True))[:3]
        best = ", ".join(f"{token} {100 * p / UNITS:.0f} %" for token, p in pairs)
        rows.append([str(i + 1), step["chosen"], f"{100 * step['prob'] / UNITS:.0f} %", best])
    here = "step_generator"
    title = translate("The generation after “{prompt}”, token by token", here)
    head = [
        translate("step", here),
        translate("token chosen", here),
        translate("probability", here),
        translate("most probable", here),
    ]
    return svg.table(title.format(prompt=prompt), head, rows)
