"""The time machine: slide through the checkpoints of one training run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import (
    as_array,
    is_causal,
    milli,
    pack,
    quantise_attention,
    same_length,
    visible,
)


def time_machine(
    records: Sequence[Mapping[str, Any]],
    *,
    prompts: Sequence[str],
    sentence: Sequence[str],
    words: Sequence[str],
    groups: Sequence[int] | None = None,
    group_names: Sequence[str] | None = None,
    curve: Sequence[Sequence[Any]] | None = None,
    caption: str = "",
) -> Component:
    """Show how loss, samples, one head's attention and the embeddings form during training.

    Args:
        records: one mapping per checkpoint, in order: ``step``, ``tokens_seen``, ``train_loss``
            and ``val_loss`` (nats per token; the latter may be None), ``samples`` (one per
            prompt, the continuation alone), ``attention`` (T, T) of one head on the sentence,
            ``embedding`` (n_words, 2), all checkpoints through one fixed projection. The map's
            axes span all checkpoints, so that movement and growth are seen.
        prompts: what the samples continue.
        sentence: the T tokens of the fixed sentence.
        words: the tokens of the map.
        groups: a number per word, from 0 to 5, that colours it; ``group_names`` names them.
        curve: the training loss at more steps, (step, loss) pairs, if there is a log.
    Raises:
        ValueError: where a record lacks something, or lengths and shapes do not agree.

    Taught in chapter 12.
    """
    if len(records) < 2:
        raise ValueError(f"the time machine needs at least two checkpoints, not {len(records)}")
    groups = list(groups) if groups is not None else [0] * len(words)
    same_length(len(words), groups=groups)
    names = [translate(name) for name in group_names or []]
    if min(groups) < 0 or max(groups) > 5 or (names and max(groups) >= len(names)):
        raise ValueError("groups must lie in 0..5, and each needs its name")
    steps = [int(record["step"]) for record in records]
    if sorted(set(steps)) != steps:
        raise ValueError(f"the steps must rise from record to record, not {steps}")
    clouds = [_cloud(record, len(words)) for record in records]
    low, high = np.min(clouds, axis=(0, 1)), np.max(clouds, axis=(0, 1))
    spread = np.where(high > low, high - low, 1.0)
    attention = quantise_attention(
        np.stack([as_array(r["attention"], "attention") for r in records])
    )
    causal = is_causal(attention)
    same_length(attention.shape[-1], sentence=sentence)
    packed = [
        _pack(record, pack(maps, causal), len(prompts), (cloud - low) / spread)
        for record, maps, cloud in zip(records, attention[0], clouds, strict=True)
    ]
    data: dict[str, object] = {
        "records": packed,
        "prompts": list(prompts),
        "sentence": [visible(token) for token in sentence],
        "causal": int(causal),
        "words": [visible(word).removeprefix("␣") for word in words],
        "groups": [int(group) for group in groups],
        "group_names": names,
        "curve": [[int(step), round(float(loss) * 1000)] for step, loss in curve or []],
    }
    summary = f"{len(packed)} checkpoints, steps {steps[0]} to {steps[-1]}"
    return Component("time_machine", data, _static(packed, prompts), summary, caption)


def _cloud(record: Mapping[str, Any], n_word: int) -> NDArray[np.float64]:
    points = as_array(record["embedding"], "embedding")
    if points.shape != (n_word, 2):
        raise ValueError(f"embedding must have shape ({n_word}, 2), not {points.shape}")
    return points


def _pack(
    record: Mapping[str, Any], attention: str, n_prompt: int, points: NDArray[np.float64]
) -> dict[str, Any]:
    """One checkpoint as integers; the points come between 0 and 1, the box of all checkpoints."""
    samples = [str(sample) for sample in record["samples"]]
    same_length(n_prompt, samples=samples)
    val = record.get("val_loss")
    return {
        "step": int(record["step"]),
        "tokens": int(record["tokens_seen"]),
        "train": round(float(record["train_loss"]) * 1000),
        "val": -1 if val is None else round(float(val) * 1000),
        "samples": samples,
        "attention": attention,
        "points": milli(points, "embedding"),
    }


def _static(records: Sequence[Mapping[str, Any]], prompts: Sequence[str]) -> str:
    """The loss curve as a picture, and the first, middle and last samples as a table."""
    chosen = [records[0], records[len(records) // 2], records[-1]]
    here = "time_machine"
    first = translate("step {step}, loss {loss}", here)
    rows = [
        [first.format(step=r["step"], loss=f"{r['train'] / 1000:.2f}"), *r["samples"]]
        for r in chosen
    ]
    head = [translate("checkpoint", here), *(f"“{prompt} …”" for prompt in prompts)]
    title = translate("What the model writes", here)
    return _loss_picture(records) + svg.table(title, head, rows)


def _loss_picture(records: Sequence[Mapping[str, Any]]) -> str:
    width, height, left, bottom = 560.0, 260.0, 40.0, 220.0
    losses = [record["train"] / 1000 for record in records]
    top = max(losses) * 1.05
    reach = np.log10([record["step"] + 1 for record in records])
    span = float(reach[-1] - reach[0]) or 1.0
    xs = [left + 10 + (width - left - 40) * float(r - reach[0]) / span for r in reach]
    ys = [bottom - (bottom - 30) * loss / top for loss in losses]
    body = svg.tag(
        "path", d=f"M{left:g} 25V{bottom:g}H{width - 10:g}", fill="none", stroke=svg.RULE
    )
    points = " ".join(f"{svg.number(x)},{svg.number(y)}" for x, y in zip(xs, ys, strict=True))
    body += svg.tag("polyline", points=points, fill="none", stroke="#0b65b0", stroke_width=2)
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        body += svg.tag("circle", cx=x, cy=y, r=4, fill="#0b65b0")
        if i in (0, len(xs) - 1) or (i % 3 == 0 and i < len(xs) - 2):
            body += svg.text(x, bottom + 17, str(records[i]["step"]), anchor="middle")
            body += svg.text(x, y - 9, f"{losses[i]:.2f}", anchor="middle")
    here = "time_machine"
    x_axis, y_axis = (
        translate("training step", here),
        translate("training loss (nats per token)", here),
    )
    body += svg.text(width - 10, height - 6, x_axis, anchor="end", fill=svg.QUIET)
    body += svg.text(left - 30, 14.0, y_axis, fill=svg.QUIET)
    alt = translate(
        "Training loss falls from {high} at step {first} to {low} at step {last}.", here
    )
    alt = alt.format(
        high=f"{losses[0]:.2f}",
        first=records[0]["step"],
        low=f"{losses[-1]:.2f}",
        last=records[-1]["step"],
    )
    return svg.picture(width, height, body, alt)
