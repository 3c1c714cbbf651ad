"""The roofline: what a model needs, what a machine offers, and which of the two limits binds."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component

SIZES = ("n_params", "n_read", "n_layer", "d_model", "n_kv_head", "d_head", "context_length")
WEIGHTS = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5}
CACHE = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0}
BATCHES = tuple(2**i for i in range(9))
SPEEDS = (0.1, 100_000.0)
"""Bandwidths in GB/s that may be given."""
PEAKS = (0.1, 100_000_000.0)
"""Peaks in GFLOP/s."""


def roofline_explorer(
    models: Sequence[Mapping[str, Any]],
    machines: Sequence[Mapping[str, Any]],
    *,
    model: int = 0,
    machine: int = 0,
    weights: str = "float32",
    cache: str | None = None,
    batch: int = 1,
    context: int = 1024,
    caption: str = "",
) -> Component:
    """Place decoding and prefill of a model under the roof of a machine.

    Args:
        models: mappings with ``name`` and whole numbers: ``n_params`` (what lies in memory),
            ``n_read`` (weights that a token's step multiplies with; default all), ``n_layer``,
            ``d_model``, ``n_kv_head``, ``d_head``, ``context_length``.
        machines: mappings with ``name``, ``gb_per_s`` (10⁹ bytes per second), ``gflops`` (10⁹
            FLOP per second), ``source`` (who says so) and, where known, ``memory_gb``. Kept in
            MB/s and MFLOP/s. Let the first be the reader's own, measured.
        model, machine: which are chosen at first.
        weights, cache: number formats at first: float32, bfloat16, int8 (and int4 for weights);
            the cache has that of the weights unless told, at least 8 bits.
        batch: texts at once, a power of two up to 256.
        context: tokens before the next one, at most the model's; rounded down to a power of two.
        caption: a sentence below the component.
    Raises:
        ValueError: nothing to choose from, or a number that is missing or out of range.

    Source: Williams, Waterman and Patterson 2009. Taught in chapter 10.
    """
    shapes, places = [_model(m) for m in models], [_machine(m) for m in machines]
    for name, chosen, n in (("model", model, len(shapes)), ("machine", machine, len(places))):
        if not 0 <= chosen < n:
            raise ValueError(f"{name} is {chosen}, but {n} are given")
    cache = cache or ("int8" if weights == "int4" else weights)
    if weights not in WEIGHTS or cache not in CACHE:
        raise ValueError(f"weights {weights!r}, cache {cache!r}: choose of {', '.join(WEIGHTS)}")
    if batch not in BATCHES:
        raise ValueError(f"batch is {batch}: give a power of two from 1 to {BATCHES[-1]}")
    if context < 1:
        raise ValueError(f"context is {context}: give at least 1 token")
    start = {
        "model": model,
        "machine": machine,
        "weights": list(WEIGHTS).index(weights),
        "cache": list(CACHE).index(cache),
        "batch": batch.bit_length() - 1,
        "context": context.bit_length() - 1,
    }
    data: dict[str, object] = {"models": shapes, "machines": places, "start": start}
    static = _static(shapes, places, (weights, cache), batch, context)
    return Component(
        "roofline_explorer",
        data,
        static,
        f"{len(shapes)} models, {len(places)} machines",
        caption,
    )


def estimate(
    model: Mapping[str, Any],
    machine: Mapping[str, Any],
    weight_bytes: float,
    cache_bytes: float,
    batch: int,
    context: int,
) -> dict[str, Any]:
    """Bounds for one step of decoding and for reading a prompt of ``context`` tokens.

    A step takes at least its FLOPs / peak, and at least its bytes / bandwidth. Decoding reads all
    weights and the keys and values of every text for one token of each; prefill reads the weights
    once, and counts the causal half of attention only. Activations are left out.

    Args:
        model, machine: as for `roofline_explorer`.
        weight_bytes, cache_bytes: per number.
        batch: texts at once.
        context: tokens in the cache, or in the prompt.
    Returns:
        ``weight_bytes`` and ``kv_bytes`` (totals), and under ``decode`` and ``prefill``: ``flops``,
        ``bytes``, ``intensity`` (FLOP per byte), ``seconds``, ``tokens_per_s`` and ``limit``.

    Source: Williams, Waterman and Patterson 2009; Pope et al. 2023, section 2. Taught in
    chapter 10.
    """
    n_read = model.get("n_read", model["n_params"])
    per_key = 2 * model["n_layer"] * model["d_model"]  # FLOPs of q · k, and as many of p · v
    read = n_read * weight_bytes
    per_token = 2 * model["n_layer"] * model["n_kv_head"] * model["d_head"] * cache_bytes
    kv = batch * context * per_token
    decode = batch * (2 * n_read + 2 * per_key * context)
    prefill = batch * (2 * n_read * context + per_key * context * (context + 1))
    return {
        "weight_bytes": read,
        "kv_bytes": kv,
        "decode": _bound(decode, read + kv, machine, batch),
        "prefill": _bound(prefill, read + kv, machine, batch * context),
    }


def _bound(
    flops: float, n_bytes: float, machine: Mapping[str, Any], n_token: int
) -> dict[str, Any]:
    by_memory = n_bytes / (machine["gb_per_s"] * 1e9)
    by_arithmetic = flops / (machine["gflops"] * 1e9)
    seconds = max(by_memory, by_arithmetic)
    return {
        "flops": flops,
        "bytes": n_bytes,
        "intensity": flops / n_bytes,
        "seconds": seconds,
        "tokens_per_s": n_token / seconds,
        "limit": "memory" if by_memory >= by_arithmetic else "arithmetic",
    }


def _model(given: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": str(given["name"])}
    for size in SIZES:
        value = given.get(size, given.get("n_params") if size == "n_read" else None)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{made['name']}: {size} is {value!r}, and must be a whole number")
        made[size] = value
    return made


def _machine(given: Mapping[str, Any]) -> dict[str, Any]:
    """Bandwidth in MB/s, peak in MFLOP/s and memory in MB, as whole numbers."""
    name = str(given["name"])
    limits = {"gb_per_s": SPEEDS, "gflops": PEAKS}
    for key, (low, high) in limits.items():
        if not low <= given[key] <= high:
            raise ValueError(f"{name}: {key} is {given[key]}, and must lie in {low:g}..{high:g}")
    return {
        "name": name,
        "source": str(given["source"]),
        "mb_per_s": round(1000 * given["gb_per_s"]),
        "mflops": round(1000 * given["gflops"]),
        "memory_mb": round(1000 * given.get("memory_gb", 0)),
    }


def _static(
    models: list[dict[str, Any]],
    machines: list[dict[str, Any]],
    formats: tuple[str, str],
    batch: int,
    context: int,
) -> str:
    """Every model on every machine at the starting settings."""
    rows = []
    for machine in machines:
        speeds = {"gb_per_s": machine["mb_per_s"] / 1e3, "gflops": machine["mflops"] / 1e3}
        for model in models:
            length = _allowed(context, model["context_length"])
            found = estimate(model, speeds, WEIGHTS[formats[0]], CACHE[formats[1]], batch, length)
            row = [machine["name"], model["name"], str(length), amount(found["kv_bytes"], "B")]
            for phase in ("prefill", "decode"):
                row += [
                    amount(found[phase]["tokens_per_s"]),
                    translate(found[phase]["limit"], "roofline_explorer"),
                ]
            rows.append(row)
    here = "roofline_explorer"
    title = translate(
        "Bounds for {n} texts at once, weights in {weights}, KV cache in {cache}", here
    ).format(n=batch, weights=formats[0], cache=formats[1])
    limited, per_second = translate("limited by", here), translate("{phase}, tokens/s", here)
    head = [
        translate("Machine", here),
        translate("Model", here),
        translate("Context", here),
        translate("KV cache", here),
        per_second.format(phase=translate("prefill", here)),
        limited,
        per_second.format(phase=translate("decoding", here)),
        limited,
    ]
    sources = " ".join(f"{m['name']}: {m['source']}" for m in machines)
    return f"{svg.table(title, head, rows)}<p>{html.escape(sources)}</p>"


def _allowed(context: int, longest: int) -> int:
    """The largest power of two that neither exceeds."""
    return 1 << (min(context, longest).bit_length() - 1)


def amount(value: float, unit: str = "") -> str:
    """Three digits and a prefix: 1234567 is 1.23 M.

    >>> amount(1234567, "B"), amount(0.5), amount(99_950)
    ('1.23 MB', '0.500', '100 k')
    """
    prefixes = ["", "k", "M", "G", "T", "P", "E"]
    power = 0
    while abs(value) >= 999.5 and power < len(prefixes) - 1:
        value, power = value / 1000, power + 1
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    if abs(value) < 0.9995:
        digits = 3
    return f"{value:.{digits}f} {prefixes[power]}{unit}".rstrip()
