"""What the components of chapter 10 show, in the manner of `llmbook.web.labels`."""

FAST_ATTENTION: dict[str, dict[str, str]] = {
    "roofline_explorer": {
        "model": "Model",
        "machine": "Machine",
        "weights": "Weights",
        "cache": "KV cache",
        "batch": "Texts at once",
        "context": "Tokens of context",
        "bandwidth": "Bandwidth",
        "peak": "Peak",
        "own": "Set by you.",
        "in_prose": "{model} on {machine}: decoding is limited by {limit}, {rate} tokens per "
        "second at most.",
        "memory": "memory",
        "arithmetic": "arithmetic",
        "picture": "Roofline: the roof rises to {peak} at {ridge} FLOP per byte and is flat "
        "beyond. Decoding stands at {decode}, prefill at {prefill} FLOP per byte",
        "x_axis": "FLOP per byte",
        "y_axis": "FLOP/s",
        "ridge": "ridge: {x}",
        "decode": "decoding",
        "prefill": "prefill",
        "quantity": "per step",
        "flops": "FLOP",
        "bytes": "bytes",
        "intensity": "FLOP per byte",
        "limit": "limit",
        "seconds": "time at least",
        "rate": "tokens per second at most",
        "weights_are": "weights",
        "cache_is": "KV cache of all texts",
        "one": "of one text",
        "fits": "{n} of {room} of memory",
        "too_large": "{n}: more than the {room} of memory",
        "note": "Decoding reads all weights and the whole cache for one token of each text; "
        "prefill reads the weights once for all tokens of the context, and writes the cache. "
        "Activations are left out, so these are bounds. Smaller weights make fewer bytes, not "
        "less arithmetic.",
    },
    "tiling_player": {
        "rows": "Queries per tile",
        "columns": "Keys per tile",
        "again": "Start again",
        "back": "Back",
        "next": "Step",
        "tile": "Next tile",
        "last": "To the end",
        "count": "step {i} of {n}",
        "matrix": "Scores: one row per query, one column per key",
        "gone": "· a score that was used and forgotten; none is ever written to slow memory",
        "output": "Output, and its distance from softmax(row) · V in one go",
        "difference": "distance",
        "fast": "In fast memory: {n} numbers, {bytes} bytes",
        "row_old": "m before",
        "row_m": "m",
        "row_factor": "factor",
        "row_l": "l",
        "row_acc": "acc {d}",
        "begin": "Queries {rows} are read. For each of them m = −∞, l = 0, and the accumulator acc "
        "is zero.",
        "scores": "Keys and values {keys} are read. The scores of this tile: q · k / √{d}.",
        "maximum": "Row {i}: m = max({old}, {here}) = {m}. What was summed so far is in units of "
        "exp(old m): it is rescaled by exp({old} − {m}) = {factor}.",
        "sum": "The tile shows exp(score − m). Row {i}: l = {before} × {factor} + {added} = {l}. "
        "The accumulator is rescaled in the same way, and exp(score − m) · V is added.",
        "end": "Row {i}: acc / l = ({out}). The softmax of the whole row, times V: ({whole}). "
        "Outputs {rows} are written, and m + log l of each.",
        "bars": "Bytes moved between slow and fast memory",
        "so_far": "tiles, so far",
        "tiled": "tiles, in all",
        "naive": "naive, in all",
    },
}
