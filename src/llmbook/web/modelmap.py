"""The model explorer: every tensor of a forward pass, with its shape and its numbers."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import Numbers, visible

N_COLUMNS = 8
"""Of a long axis the first numbers are shown."""
MAX_TOKENS = 8
MASKED = -32768
"""Stands for −∞, the score of a key that may not be looked at."""
LARGEST = 327.0


def model_explorer(
    tokens: Sequence[str],
    stages: Sequence[Mapping[str, Any]],
    *,
    stage: int = 0,
    caption: str = "",
) -> Component:
    """Open a model stage by stage, and each stage tensor by tensor.

    Args:
        tokens: the T tokens as strings, at most 8.
        stages: mappings with ``title`` and ``tensors``, from the ids to the probabilities. A
            tensor is a mapping with ``name``, ``axes`` (letters such as ``"T C"`` or ``"H T S"``),
            ``how`` (a sentence: what was done to get it), and ``values`` of that shape. Numbers
            are shown in hundredths, minus infinity as such; of an axis longer than 8 the first
            are shown, and all heads. Instead of its values a tensor may give ``top``: for each
            token the best (string, probability) pairs, with its ``shape``.
        stage: which one is open at first.
        caption: a sentence below the component.
    Raises:
        ValueError: too many tokens, no stages, or values that do not fit their axes.

    Compute the values in double precision where another machine must print the same output.
    Taught in chapter 8.
    """
    if not 1 <= len(tokens) <= MAX_TOKENS:
        raise ValueError(f"{len(tokens)} tokens given: the explorer shows 1 to {MAX_TOKENS}")
    if not 0 <= stage < len(stages):
        raise ValueError(f"stage is {stage}, but there are {len(stages)} stages")
    shown = [
        {"title": translate(s["title"]), "tensors": [_tensor(t, len(tokens)) for t in s["tensors"]]}
        for s in stages
    ]
    data: dict[str, object] = {
        "tokens": [visible(token) for token in tokens],
        "stages": shown,
        "stage": stage,
    }
    n_tensor = sum(len(s["tensors"]) for s in stages)
    summary = f"{len(stages)} stages, {n_tensor} tensors"
    return Component("model_explorer", data, _static(shown, stage), summary, caption)


def _tensor(given: Mapping[str, Any], n_token: int) -> dict[str, object]:
    name, axes = str(given["name"]), str(given["axes"]).split()
    if set(axes) - set("TSHDCFV"):
        raise ValueError(f"{name} has the axes {axes}: choose among T S H D C F V")
    tensor: dict[str, object] = {
        "name": translate(name),
        "axes": axes,
        "how": translate(str(given["how"])),
    }
    if "top" in given:
        if len(given["top"]) != n_token:
            raise ValueError(f"{name}: {len(given['top'])} rows for {n_token} tokens")
        rows = [[[visible(s), round(1e4 * float(p))] for s, p in row] for row in given["top"]]
        return tensor | {"shape": [int(n) for n in given["shape"]], "top": rows}
    values = given["values"]
    detached = values.detach().cpu() if hasattr(values, "detach") else values
    array = np.asarray(detached, dtype=np.float64)
    if array.ndim != len(axes) or not 1 <= array.ndim <= 3 or n_token not in array.shape[:2]:
        raise ValueError(f"{name} has shape {array.shape}, but its axes are {' '.join(axes)}")
    cut = array[..., :N_COLUMNS] if array.ndim > 1 else array[:, None]
    cut = cut if cut.ndim == 3 else cut[None]
    packed, whole = _hundredths(cut, name, whole=array.ndim == 1)
    return tensor | {
        "shape": list(array.shape),
        "columns": cut.shape[2],
        "heads": cut.shape[0],
        "whole": whole,
        "values": base64.b64encode(packed.tobytes()).decode(),
    }


def _hundredths(
    values: NDArray[np.float64], name: str, whole: bool
) -> tuple[NDArray[np.int16], int]:
    """Hundredths, or whole numbers where the tensor holds ids, in two bytes each."""
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ValueError(f"{name} holds a value that is no number")
    masked = np.isneginf(values)
    finite = np.where(masked, 0.0, values)
    limit = LARGEST * (100 if whole else 1)
    if (np.abs(finite) > limit).any():
        raise ValueError(f"{name} holds {np.abs(finite).max():.0f}: at most {limit:.0f} is shown")
    units = np.rint(finite if whole else 100 * finite)
    return np.where(masked, MASKED, units).astype("<i2"), int(whole)


def _static(stages: Sequence[Mapping[str, Any]], chosen: int) -> str:
    """Names and shapes of the first and last stage and of the chosen one, as a table."""
    rows = []
    for i in sorted({0, chosen, len(stages) - 1}):
        for tensor in stages[i]["tensors"]:
            shape = ", ".join(f"{n:,}" for n in tensor["shape"])
            letters = ", ".join(tensor["axes"])
            rows.append([stages[i]["title"], tensor["name"], f"({letters})", f"({shape})"])
    here = "model_explorer"
    head = [
        translate("Stage", here),
        translate("Tensor", here),
        translate("Axes", here),
        translate("Shape", here),
    ]
    return svg.table(translate("Tensors of the model", here), head, rows)


def tensor_values(tensor: Mapping[str, Any]) -> Numbers:
    """The integers that a tensor of the component's data holds: (heads, rows, columns)."""
    flat = np.frombuffer(base64.b64decode(tensor["values"]), dtype="<i2")
    return flat.reshape(tensor["heads"], -1, tensor["columns"])
