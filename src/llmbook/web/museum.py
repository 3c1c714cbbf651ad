"""Broken training runs to diagnose: curves, a sample, a choice of faults, the tell-tale sign."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import as_array
from llmbook.web.quiz import checked_question, rich

N_POINTS = 48
ANSWERS = ("sign", "test")
Curve = list[list[int]]


def thin(values: NDArray[np.float64], n_points: int = N_POINTS) -> Curve:
    """A log of every step as ``[step, thousandths]``, averaged over stretches that grow.

    The first step stands alone, so that the first loss can be read; each later point is the mean
    over its stretch, at the stretch's last step.
    """
    edges = np.unique(np.geomspace(1, len(values), n_points).astype(int))
    starts = [0, *edges[:-1]]
    return [
        [int(end), round(1000 * float(values[start:end].mean()))]
        for start, end in zip(starts, edges, strict=True)
    ]


def _run(run: Mapping[str, Any], name: str) -> dict[str, Any]:
    missing = [key for key in ("loss", "grad_norm", "val_loss", "sample") if key not in run]
    if missing:
        raise ValueError(f"the run {name!r} lacks {missing[0]!r}")
    loss, norm = (as_array(run[key], f"{key} of {name!r}") for key in ("loss", "grad_norm"))
    val = as_array(run["val_loss"], f"val_loss of {name!r}")
    if loss.ndim != 1 or loss.shape != norm.shape or len(loss) < 2:
        raise ValueError(f"loss and grad_norm of {name!r} need one number for each of the steps")
    if val.ndim != 2 or val.shape[1] != 2:
        raise ValueError(f"val_loss of {name!r} must hold pairs of step and loss")
    return {
        "train": thin(loss),
        "norm": thin(np.log10(np.maximum(norm, 1e-6))),
        "val": [[int(step), round(1000 * float(v))] for step, v in val if step >= 1],
        "sample": str(run["sample"]),
    }


def _exhibit(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    missing = [key for key in ANSWERS if not given.get(key)]
    if missing:
        raise ValueError(f"exhibit {name} lacks {missing[0]!r}")
    question = checked_question({"text": f"exhibit {name}", **given})
    del question["text"]
    texts = {key: translate(str(given[key])) for key in ANSWERS} | {
        "code": str(given.get("code", "")),
        "evidence": translate(str(given.get("evidence", ""))),
    }
    return _run(given, f"exhibit {name}") | question | texts


def error_museum(
    exhibits: Sequence[Mapping[str, Any]], sound: Mapping[str, Any], *, caption: str = ""
) -> Component:
    """Let the reader name the fault of each run before the answer opens, and keep a score.

    Args:
        exhibits: runs, each with ``loss`` and ``grad_norm`` of every step, ``val_loss`` as pairs
            (step, loss), drawn from step 1 on, and a ``sample``; the ``choices`` of diagnoses,
            the index of the right ``answer``, ``why`` (one remark per choice); the tell-tale
            ``sign`` and the ``test`` that finds the fault; and, if wished, ``evidence`` that no
            curve shows, and the ``code`` that was wrong.
        sound: the same run without a fault, drawn in grey behind each exhibit.
    Raises:
        ValueError: for a run or a question that is incomplete.

    Taught in chapter 9.
    """
    if not exhibits:
        raise ValueError("a museum needs at least one exhibit")
    made = [_exhibit(given, str(i + 1)) for i, given in enumerate(exhibits)]
    reference = _run(sound, "sound")
    data: dict[str, object] = {"exhibits": made, "sound": reference}
    static = "".join(_static(one, reference, i + 1) for i, one in enumerate(made))
    summary = f"{len(made)} exhibit{'s' if len(made) > 1 else ''}"
    return Component("error_museum", data, static, summary, caption)


def _static(exhibit: Mapping[str, Any], sound: Mapping[str, Any], number: int) -> str:
    """One exhibit on paper: its curves, its sample, the choices, and the answer folded away."""
    choices = "".join(f"<li>{rich(choice)}</li>" for choice in exhibit["choices"])
    evidence = f"<p>{html.escape(exhibit['evidence'])}</p>" if exhibit["evidence"] else ""
    right = exhibit["answer"]
    here = "error_museum"
    answer = translate("{choice}. {sign} {test}", here).format(
        choice=exhibit["choices"][right], sign=exhibit["sign"], test=exhibit["test"]
    )
    title = translate("Exhibit {i}", here).format(i=number)
    writes = translate("It writes: {sample}", here).format(sample=exhibit["sample"])
    return (
        f"<p><strong>{title}</strong></p>{_picture(exhibit, sound, number)}"
        f"<p>{html.escape(writes)}</p>{evidence}<ul>{choices}</ul>"
        f"<details><summary>{translate('Diagnosis', here)}</summary><p>{rich(answer)}</p></details>"
    )


def _picture(exhibit: Mapping[str, Any], sound: Mapping[str, Any], number: int) -> str:
    width, height, left, bottom = 460.0, 190.0, 36.0, 158.0
    series = [
        (sound["train"], "#9aa3b0"),
        (exhibit["train"], "#0b65b0"),
        (exhibit["val"], svg.ACCENT),
    ]
    top = max(y for curve, _ in series for _, y in curve) / 1000 * 1.05
    last = exhibit["train"][-1][0]
    body = svg.tag("path", d=f"M{left:g} 20V{bottom:g}H{width:g}", fill="none", stroke=svg.RULE)
    for curve, colour in series:
        points = " ".join(
            f"{svg.number(left + (width - left - 8) * float(np.log(x + 1) / np.log(last + 1)))},"
            f"{svg.number(bottom - (bottom - 24) * y / 1000 / top)}"
            for x, y in curve
        )
        body += svg.tag("polyline", points=points, fill="none", stroke=colour, stroke_width=2)
    legend = translate("loss: training blue, held out orange, sound run grey", "error_museum")
    body += svg.text(2, 13, legend, fill=svg.QUIET)
    body += svg.text(left - 4, 32, f"{top:.1f}", anchor="end", fill=svg.QUIET)
    body += svg.text(left - 4, bottom, "0", anchor="end", fill=svg.QUIET)
    step = translate("step {n}", "error_museum").format(n=last)
    body += svg.text(width, height - 12, step, anchor="end", fill=svg.QUIET)
    ends = [exhibit[key][-1][1] / 1000 for key in ("train", "val")]
    words = translate(
        "Exhibit {i}: training loss from {first} to {last}, held-out loss at the end {val}.",
        "error_museum",
    )
    first = f"{exhibit['train'][0][1] / 1000:.2f}"
    alt = words.format(i=number, first=first, last=f"{ends[0]:.2f}", val=f"{ends[1]:.2f}")
    return svg.picture(width, height, body, alt)
