"""Exercises and quiz of chapter 12: pretraining a GPT."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# 12.make_batch -----------------------------------------------------------------------------------


def make_batch(tokens: Tensor, starts: list[int], context_length: int) -> tuple[Tensor, Tensor]:
    """Cut windows out of a row of tokens, and the targets that belong to them.

    Args:
        tokens: ids, (n_tokens,).
        starts: where each of the B windows begins.
        context_length: tokens per window, T.
    Returns:
        Inputs (B, T) and targets (B, T): target [b, t] is the token that follows input [b, t].
    """
    inputs = torch.stack([tokens[s : s + context_length] for s in starts])
    targets = torch.stack([tokens[s + 1 : s + 1 + context_length] for s in starts])
    return inputs, targets


def _cut(tokens: Tensor, starts: list[int], length: int) -> Tensor:
    return torch.stack([tokens[s : s + length] for s in starts])


def _batch_not_shifted(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    inputs = _cut(tokens, starts, context_length)
    return inputs, inputs.clone()


def _batch_shifted_back(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    before = torch.roll(tokens, 1)
    return _cut(tokens, starts, context_length), _cut(before, starts, context_length)


def _batch_shifted_by_two(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    later = torch.roll(tokens, -2)
    return _cut(tokens, starts, context_length), _cut(later, starts, context_length)


def _batch_too_short(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    windows = _cut(tokens, starts, context_length)
    return windows[:, :-1], windows[:, 1:]


def _batch_rolled(tokens: Tensor, starts: list[int], context_length: int) -> tuple[Tensor, Tensor]:
    inputs = _cut(tokens, starts, context_length)
    return inputs, torch.roll(inputs, -1, dims=1)


def _batch_one_target(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    ends = torch.tensor([s + context_length for s in starts])
    return _cut(tokens, starts, context_length), tokens[ends]


def _batch_ignores_starts(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    return make_batch(tokens, [b * context_length for b in range(len(starts))], context_length)


def _batch_transposed(
    tokens: Tensor, starts: list[int], context_length: int
) -> tuple[Tensor, Tensor]:
    inputs, targets = make_batch(tokens, starts, context_length)
    return inputs.T, targets.T


def _batch_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n_tokens, n_windows, length in [(101, 3, 7), (67, 5, 11), (149, 2, 13)]:
        tokens = torch.randint(4096, (n_tokens,), generator=g)
        starts = torch.randint(n_tokens - length, (n_windows,), generator=g).tolist()
        cases.append(Case((tokens, starts, length), note=f"B = {n_windows}, T = {length}"))
    tokens = torch.randint(4096, (43,), generator=g)
    last = [43 - 5 - 1, 0, 17]
    return [*cases, Case((tokens, last, 5), note="B = 3, T = 5; one window ends at the last token")]


def _inputs_and_targets_overlap(answer: Callable[..., tuple[Tensor, Tensor]]) -> None:
    inputs, targets = answer(torch.arange(100, 150), [3, 30], 9)
    assert torch.equal(inputs[:, 1:], targets[:, :-1]), "inputs[:, 1:] and targets[:, :-1] differ"


_MAKE_BATCH = Exercise(
    id="12.make_batch",
    title="From a row of tokens to a batch",
    statement=(
        "Write `make_batch(tokens, starts, context_length)`. Each number in `starts` is the place "
        "of a window's first token. Return the inputs and the targets, both (B, T). With "
        "`tokens = [10, 11, 12, 13, 14, 15, 16]`, `starts = [1, 3]` and `context_length = 3` the "
        "inputs are `[[11, 12, 13], [13, 14, 15]]` and the targets "
        "`[[12, 13, 14], [14, 15, 16]]`."
    ),
    solution=make_batch,
    example=Case((torch.arange(10, 17), [1, 3], 3), note="the printed example"),
    cases=_batch_cases,
    properties=[
        Property(
            "A window's targets, all but the last, are its own inputs, all but the first.",
            _inputs_and_targets_overlap,
        )
    ],
    misconceptions=[
        Misconception(
            "not_shifted",
            _batch_not_shifted,
            "Inputs and targets are the same tokens, so the model is asked for what it is "
            "looking at. It will learn to copy, with a loss near zero and nothing learnt. Move "
            "the targets on by one.",
        ),
        Misconception(
            "shifted_back",
            _batch_shifted_back,
            "Your targets are the tokens **before** the inputs: the model would learn to say "
            "what it has just read. The target of a token is the one that follows it, s + 1.",
        ),
        Misconception(
            "shifted_by_two",
            _batch_shifted_by_two,
            "Your targets lie two tokens ahead, so the next token is never asked for. Begin them "
            "at s + 1.",
        ),
        Misconception(
            "too_short",
            _batch_too_short,
            "Each row has T − 1 tokens: you cut T tokens and shared them between inputs and "
            "targets. A window of T inputs needs T + 1 tokens of text.",
        ),
        Misconception(
            "rolled",
            _batch_rolled,
            "All but the last target are right. The last one is the window's own first token: "
            "`roll` carries it round. The token after the window stands in the text, at s + T.",
        ),
        Misconception(
            "one_target",
            _batch_one_target,
            "You give one target per window, the token after it. Every position has a target: "
            "under a causal mask a window of T tokens is T exercises at once.",
        ),
        Misconception(
            "ignores_starts",
            _batch_ignores_starts,
            "Your windows lie side by side from the beginning of the text. Let each begin where "
            "`starts` says.",
        ),
        Misconception(
            "transposed",
            _batch_transposed,
            "The axes are swapped: the batch comes first. `torch.stack` puts one window in each "
            "row, (B, T), as it is.",
        ),
    ],
    nudges=[
        "Cut one window first: `tokens[s : s + context_length]`. Then `torch.stack` a list of "
        "them.",
        "Where does the target of the window's **last** input stand? Not inside the window.",
        "The targets are a window of the same length that begins one token later, at s + 1.",
    ],
    success="Your batches ask for the next token at every position.",
    remark=(
        "Inputs and targets share all but two of their T + 1 tokens. "
        "`llmbook.datasets.TokenBatches` cuts windows of T + 1 and takes both from them."
    ),
)

# 12.bits_per_byte --------------------------------------------------------------------------------


def bits_per_byte(mean_loss: float, n_tokens: int, text: str) -> float:
    """Convert a loss per token into a number that does not depend on the tokens.

    Args:
        mean_loss: nats per token, averaged over the text.
        n_tokens: how many tokens the text was cut into.
        text: the text itself, written as UTF-8.
    Returns:
        Bits per byte.
    """
    bits = mean_loss * n_tokens / math.log(2)
    return bits / len(text.encode("utf-8"))


def _bits_per_token(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss / math.log(2)


def _nats_per_byte(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss * n_tokens / len(text.encode("utf-8"))


def _bits_inverted(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss * n_tokens * math.log(2) / len(text.encode("utf-8"))


def _bits_per_character(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss * n_tokens / math.log(2) / len(text)


def _bits_per_bit(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss * n_tokens / math.log(2) / (8 * len(text.encode("utf-8")))


def _bits_bytes_per_token_multiplied(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss / math.log(2) * len(text.encode("utf-8")) / n_tokens


def _bits_mean_over_bytes(mean_loss: float, n_tokens: int, text: str) -> float:
    return mean_loss / math.log(2) / len(text.encode("utf-8"))


_TEXTS = (
    "It is a truth universally acknowledged",
    "Übermut tut selten gut, sagte die Großmutter.",
    "语言模型预测下一个词",
    "Ἄνδρα μοι ἔννεπε, Μοῦσα",
)


def _bits_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for text in _TEXTS:
        loss = round(float(1.0 + 3.0 * torch.rand(1, generator=g)), 3)
        n_tokens = int(torch.randint(5, 12, (1,), generator=g))
        note = say(
            "{n} characters, {bytes} bytes, {n_tokens} tokens",
            n=len(text),
            bytes=len(text.encode()),
            n_tokens=n_tokens,
        )
        cases.append(Case((loss, n_tokens, text), note=note))
    return cases


def _uniform_bytes_cost_eight_bits(answer: Callable[..., float]) -> None:
    got = answer(math.log(256), 5, "abcde")
    assert abs(got - 8) < 1e-6, say("got {got:.4f}", got=got)


_BITS_PER_BYTE = Exercise(
    id="12.bits_per_byte",
    title="A loss that can be compared",
    statement=(
        "Write `bits_per_byte(mean_loss, n_tokens, text)`: from a mean loss in nats per token to "
        "bits per byte of the text. The text `naïve café` has 10 characters and 12 bytes. Cut "
        "into 5 tokens, with a mean loss of 2.0 nats, it costs 1.2022 bits per byte."
    ),
    solution=bits_per_byte,
    example=Case((2.0, 5, "naïve café"), note="the printed example"),
    cases=_bits_cases,
    properties=[
        Property(
            "A uniform guess among 256 bytes, one token each, costs 8 bits per byte.",
            _uniform_bytes_cost_eight_bits,
        )
    ],
    misconceptions=[
        Misconception(
            "per_token",
            _bits_per_token,
            "These are bits per **token**. A tokenizer with longer tokens would look worse with "
            "the same model quality. Spread the bits of the whole text over its bytes.",
        ),
        Misconception(
            "still_nats",
            _nats_per_byte,
            "Right division, wrong unit: these are nats per byte. A bit is ln 2 ≈ 0.693 nats, so "
            "divide by `math.log(2)`.",
        ),
        Misconception(
            "inverted",
            _bits_inverted,
            "You multiply by ln 2. A bit is smaller than a nat, so there must be more bits than "
            "nats: divide by ln 2.",
        ),
        Misconception(
            "characters",
            _bits_per_character,
            "You count characters. They agree with bytes in plain English only: ï, é and every "
            "Chinese character take two or three bytes. Count `len(text.encode('utf-8'))`.",
        ),
        Misconception(
            "per_bit",
            _bits_per_bit,
            "You divide by the number of bits in the text, 8 per byte. That is a compression "
            "ratio. Bits per byte divides by the bytes.",
        ),
        Misconception(
            "multiplied_back",
            _bits_bytes_per_token_multiplied,
            "You multiply by the bytes in a token. A token's bits are shared among its bytes: "
            "divide by bytes per token.",
        ),
        Misconception(
            "mean_over_bytes",
            _bits_mean_over_bytes,
            "You divide one token's mean loss by all bytes of the text. The whole text costs "
            "mean loss times number of tokens.",
        ),
    ],
    nudges=[
        "Three quantities in order: nats for the whole text, bits for the whole text, bits per "
        "byte.",
        "The whole text costs mean_loss · n_tokens nats. One nat is 1 / ln 2 bits.",
        "How many bytes has é? Try `len('é')` and `len('é'.encode('utf-8'))`.",
    ],
    success="With this number models with different tokenizers, and compressors, can be compared.",
    remark=(
        "The tokens cancel: bits for the whole text over bytes of the whole text. "
        "`llmbook.evaluate.bits_per_byte` does the same with sums over documents."
    ),
)

# 12.learning_rate --------------------------------------------------------------------------------


def learning_rate(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    """The learning rate of one step: a straight warm-up, then half a cosine.

    Args:
        step: counted from 0. The first step already moves: it uses peak / warmup_steps.
        steps: length of the run; at this step and later the rate stays at its floor.
        warmup_steps: steps of the warm-up; its last one, number warmup_steps − 1, uses the
            peak. May be 0; always below steps.
        peak: the highest learning rate.
        min_lr_ratio: the floor, as a share of the peak.
    Returns:
        The learning rate.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (steps - warmup_steps))
    shape = 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (min_lr_ratio + (1 - min_lr_ratio) * shape)


def _rate_starts_at_zero(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    if step < warmup_steps:
        return peak * step / warmup_steps
    return learning_rate(step, steps, warmup_steps, peak, min_lr_ratio)


def _rate_ignores_warmup_in_decay(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return learning_rate(step, steps, 0, peak, min_lr_ratio)


def _rate_no_floor(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    return learning_rate(step, steps, warmup_steps, peak, 0.0)


def _rate_floor_added(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return learning_rate(step, steps, warmup_steps, peak, 0.0) + peak * min_lr_ratio


def _rate_floor_cuts(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return max(peak * min_lr_ratio, learning_rate(step, steps, warmup_steps, peak, 0.0))


def _rate_quarter_cosine(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (steps - warmup_steps))
    return peak * (min_lr_ratio + (1 - min_lr_ratio) * math.cos(math.pi / 2 * progress))


def _rate_after_warmup(progress_to_shape, step, steps, warmup_steps, peak, min_lr_ratio) -> float:
    """The learning rate with another shape of decay, given as a function of progress."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (steps - warmup_steps))
    return peak * (min_lr_ratio + (1 - min_lr_ratio) * progress_to_shape(progress))


def _rate_upside_down(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    def shape(progress: float) -> float:
        return 0.5 * (1 - math.cos(math.pi * progress))

    return _rate_after_warmup(shape, step, steps, warmup_steps, peak, min_lr_ratio)


def _rate_straight(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    return _rate_after_warmup(
        lambda progress: 1 - progress, step, steps, warmup_steps, peak, min_lr_ratio
    )


def _rate_comes_back(
    step: int, steps: int, warmup_steps: int, peak: float, min_lr_ratio: float
) -> float:
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / (steps - warmup_steps)
    shape = 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (min_lr_ratio + (1 - min_lr_ratio) * shape)


def _rate_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for steps, warmup in [(101, 7), (211, 13), (57, 0)]:
        peak = round(float(0.001 + 0.01 * torch.rand(1, generator=g)), 5)
        ratio = round(float(0.05 + 0.3 * torch.rand(1, generator=g)), 3)
        middle = int(torch.randint(warmup + 3, steps - 3, (1,), generator=g))
        for step in (0, warmup // 2, warmup, middle, steps - 1, steps + 17):
            note = say(
                "step {step} of {steps}, warm-up {warmup}", step=step, steps=steps, warmup=warmup
            )
            cases.append(Case((step, steps, warmup, peak, ratio), note=note))
    return cases


def _rate_never_leaves_its_band(answer: Callable[..., float]) -> None:
    rates = [answer(step, 100, 10, 0.004, 0.1) for step in range(130)]
    assert max(rates) <= 0.004 * (1 + 1e-9), say(
        "the highest rate is {a:.6f}, peak 0.004", a=max(rates)
    )
    assert min(rates[10:]) >= 0.0004 * (1 - 1e-9), say(
        "the lowest rate is {a:.6f}", a=min(rates[10:])
    )


_LEARNING_RATE = Exercise(
    id="12.learning_rate",
    title="Warm up, then cool down",
    statement=(
        "Write `learning_rate(step, steps, warmup_steps, peak, min_lr_ratio)`. During warm-up the "
        "rate rises in a straight line: step 0 uses `peak / warmup_steps`, step "
        "`warmup_steps - 1` the peak. From step `warmup_steps` on it follows half a period of a "
        "cosine from the peak down to `min_lr_ratio * peak`, which it reaches at step `steps` "
        "and keeps. With `steps = 110`, `warmup_steps = 10`, `peak = 0.004` and "
        "`min_lr_ratio = 0.1` the rate is 0.0004 at step 0, 0.004 at steps 9 and 10, 0.0022 at "
        "step 60 and 0.0004 from step 110 on."
    ),
    solution=learning_rate,
    example=Case((60, 110, 10, 0.004, 0.1), note="the printed example, step 60"),
    cases=_rate_cases,
    properties=[Property("The rate stays between floor and peak.", _rate_never_leaves_its_band)],
    misconceptions=[
        Misconception(
            "starts_at_zero",
            _rate_starts_at_zero,
            "Step 0 has a rate of zero, so its batch is wasted, and the peak comes one step "
            "late. Use step + 1 during warm-up.",
        ),
        Misconception(
            "decay_from_the_start",
            _rate_ignores_warmup_in_decay,
            "The cosine runs as if it had begun at step 0, so the rate jumps down where warm-up "
            "ends. Measure progress from the end of warm-up: "
            "(step − warmup_steps) / (steps − warmup_steps).",
        ),
        Misconception(
            "no_floor",
            _rate_no_floor,
            "Your rate falls to zero. It should end at min_lr_ratio · peak: let the cosine cover "
            "only the part above the floor.",
        ),
        Misconception(
            "floor_added",
            _rate_floor_added,
            "You add the floor to the whole cosine, so the rate exceeds the peak. The cosine "
            "covers what is left above the floor: floor + (1 − floor) · shape.",
        ),
        Misconception(
            "floor_cuts",
            _rate_floor_cuts,
            "You let the cosine fall to zero and cut it off at the floor with `max`. The curve "
            "should reach the floor exactly at the end: shrink the cosine instead.",
        ),
        Misconception(
            "quarter_cosine",
            _rate_quarter_cosine,
            "You use cos(π/2 · progress), a quarter of a period, which ends steeply. Half a "
            "period, (1 + cos(π · progress)) / 2, is flat at both ends.",
        ),
        Misconception(
            "upside_down",
            _rate_upside_down,
            "Your cosine is upside down: the rate drops to the floor after the warm-up and climbs "
            "to the peak at the end. The shape is (1 **+** cos(π · progress)) / 2.",
        ),
        Misconception(
            "straight",
            _rate_straight,
            "The rate falls along a straight line. That is a schedule too, but the exercise asks "
            "for half a cosine, (1 + cos(π · progress)) / 2.",
        ),
        Misconception(
            "comes_back",
            _rate_comes_back,
            "After the last step your cosine rises again. Let progress end at 1.",
        ),
    ],
    nudges=[
        "Two cases: before `warmup_steps` a straight line, after it a cosine of a progress that "
        "runs from 0 to 1.",
        "The shape 0.5 · (1 + cos(π · progress)) runs from 1 to 0.",
        "To end at a floor r instead of 0, use r + (1 − r) · shape. What is progress after the "
        "last step?",
    ],
    success="Your schedule is the one that `llmbook.train` follows.",
    remark=(
        "The cosine is flat at both ends: the rate stays near its peak while there is much to "
        "learn, and near its floor while the last noise settles. "
        "`llmbook.train.learning_rate_at` does the same for cosine and straight decay."
    ),
    atol=1e-9,
)

# 12.clip_gradients -------------------------------------------------------------------------------


def clip_gradients(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    """Shorten a gradient that is too long, and keep its direction.

    Args:
        gradients: one tensor per parameter; together they are one long vector.
        max_norm: the greatest length that may remain, > 0.
    Returns:
        The gradients after clipping, and the length of the whole vector before it.
    """
    norm = torch.sqrt(sum(((g**2).sum() for g in gradients), torch.tensor(0.0)))
    scale = torch.clamp(max_norm / norm, max=1.0)  # norm 0 gives infinity, and so 1
    return [g * scale for g in gradients], float(norm)


def _total_norm(gradients: list[Tensor]) -> float:
    return math.sqrt(sum(float((g**2).sum()) for g in gradients))


def _clip_each(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    clipped = [clip_gradients([g], max_norm)[0][0] for g in gradients]
    return clipped, _total_norm(gradients)


def _clip_by_value(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    return [g.clamp(-max_norm, max_norm) for g in gradients], _total_norm(gradients)


def _clip_stretches(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    norm = _total_norm(gradients)
    return [g * (max_norm / max(norm, 1e-12)) for g in gradients], norm


def _clip_sum_of_norms(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    norm = sum(float(g.norm()) for g in gradients)
    return [g * min(1.0, max_norm / max(norm, 1e-12)) for g in gradients], norm


def _clip_longest_part(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    norm = max(float(g.norm()) for g in gradients)
    return [g * min(1.0, max_norm / max(norm, 1e-12)) for g in gradients], norm


def _clip_squared_norm(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    norm = sum(float((g**2).sum()) for g in gradients)
    return [g * min(1.0, max_norm / max(norm, 1e-12)) for g in gradients], norm


def _clip_reports_after(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    clipped, norm = clip_gradients(gradients, max_norm)
    return clipped, min(norm, max_norm)


def _clip_to_length_one(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    norm = _total_norm(gradients)
    return [g / norm if norm > max_norm else g.clone() for g in gradients], norm


def _clip_zeroes(gradients: list[Tensor], max_norm: float) -> tuple[list[Tensor], float]:
    norm = _total_norm(gradients)
    return [torch.zeros_like(g) if norm > max_norm else g.clone() for g in gradients], norm


def _clip_cases(g: torch.Generator) -> list[Case]:
    shapes: list[list[tuple[int, ...]]] = [[(3, 5), (7,), (2, 3, 5)], [(11,), (5, 2)]]
    cases = []
    for shape, scale, max_norm in [
        (shapes[0], 3.0, 1.0),
        (shapes[1], 2.0, 0.5),
        (shapes[0], 0.01, 2.0),
    ]:
        gradients = [scale * torch.randn(s, generator=g) for s in shape]
        short = say("a short gradient, max_norm {max_norm}", max_norm=max_norm)
        long = say("a long gradient, max_norm {max_norm}", max_norm=max_norm)
        note = short if _total_norm(gradients) < max_norm else long
        cases.append(Case((gradients, max_norm), note=note))
    zero = [torch.zeros(3, 2), torch.zeros(5)]
    return [*cases, Case((zero, 1.0), note="a gradient of zeros, max_norm 1.0")]


def _direction_is_kept(answer: Callable[..., tuple[list[Tensor], float]]) -> None:
    g = torch.Generator().manual_seed(3)
    gradients = [5 * torch.randn(7, 3, generator=g), torch.randn(11, generator=g)]
    clipped, _ = answer(gradients, 1.0)
    before = torch.cat([x.flatten() for x in gradients])
    after = torch.cat([x.flatten() for x in clipped])
    cosine = float(torch.cosine_similarity(before, after, dim=0))
    assert cosine > 0.9999, say(
        "the angle between before and after has cosine {cosine:.4f}", cosine=cosine
    )


_CLIP_GRADIENTS = Exercise(
    id="12.clip_gradients",
    title="A gradient that is too long",
    statement=(
        "Write `clip_gradients(gradients, max_norm)`. All tensors in the list are parts of one "
        "long vector. If the length of that vector is above `max_norm`, shorten all parts by the "
        "same factor, so that its length becomes `max_norm`; otherwise change nothing. Return the "
        "list and the length before. Leave the given tensors as they are. With "
        "`gradients = [[3, 0], [4]]` and `max_norm = 1` the length is 5 and the clipped "
        "gradients are `[[0.6, 0], [0.8]]`."
    ),
    solution=clip_gradients,
    example=Case(
        ([torch.tensor([3.0, 0.0]), torch.tensor([4.0])], 1.0), note="the printed example"
    ),
    cases=_clip_cases,
    properties=[Property("Clipping keeps the direction of the whole vector.", _direction_is_kept)],
    misconceptions=[
        Misconception(
            "each_alone",
            _clip_each,
            "You clip each tensor by its own length. The parts are then shortened by different "
            "factors, and the step points elsewhere. Take one length over all tensors.",
        ),
        Misconception(
            "by_value",
            _clip_by_value,
            "You cut off large entries (clipping by value), which bends the direction. Multiply "
            "everything by one factor, max_norm / length.",
        ),
        Misconception(
            "stretches",
            _clip_stretches,
            "A gradient that is short enough is made longer. The factor may only shorten: "
            "min(1, max_norm / length).",
        ),
        Misconception(
            "sum_of_norms",
            _clip_sum_of_norms,
            "You add the lengths of the parts. The length of the whole is the square root of the "
            "sum of **squares** of the parts' lengths: with parts 3 and 4 it is 5, not 7.",
        ),
        Misconception(
            "longest_part",
            _clip_longest_part,
            "Your length is that of the longest part, 4 in the example. All parts together are "
            "longer: the root of the sum of their squares, 5.",
        ),
        Misconception(
            "no_root",
            _clip_squared_norm,
            "Your length is the sum of squares, 25 in the example. Take its square root.",
        ),
        Misconception(
            "reports_after",
            _clip_reports_after,
            "The gradients are right, but the length you return was measured after clipping. "
            "A log needs the length before: that one shows trouble.",
        ),
        Misconception(
            "length_one",
            _clip_to_length_one,
            "A long gradient comes out with length 1, whatever max_norm is. Multiply by "
            "max_norm / length.",
        ),
        Misconception(
            "drops",
            _clip_zeroes,
            "A long gradient is thrown away. Keep its direction: shorten it to max_norm.",
        ),
    ],
    nudges=[
        "First the length of the whole: square every entry of every tensor, add, take the root.",
        "One factor for all tensors: max_norm / length, but never more than 1.",
        "And a gradient of zeros? Its length is 0, and 0 must not become NaN.",
    ],
    success="`torch.nn.utils.clip_grad_norm_` does this in place, with 1e-6 added to the length.",
    remark=(
        "Every tensor is multiplied by the same factor, so the direction stays. With a length of "
        "0 the quotient is infinite, and the clamp turns it into 1."
    ),
)

EXERCISES = [_MAKE_BATCH, _BITS_PER_BYTE, _LEARNING_RATE, _CLIP_GRADIENTS]

QUIZ = [
    Question(
        text="An untrained model with a vocabulary of 4096 shows a loss of 3.1 nats at its very "
        "first step. What do you conclude?",
        choices=[
            "The initialisation is excellent",
            "Something is wrong: a model that knows nothing pays about ln 4096 ≈ 8.3 nats",
            "Nothing: the first loss depends on the batch",
        ],
        answer=1,
        why=[
            "No initialisation knows the text. Far below ln V before any training means that the "
            "weights are not fresh, or that the answer leaks into the input.",
            "A guess among 4096 equally likely tokens costs ln 4096 ≈ 8.3 nats. Check that the "
            "weights are fresh and that the targets are shifted.",
            "It does, by a few hundredths. Not by five nats.",
        ],
    ),
    Question(
        text="Model A (vocabulary 512) has a validation loss of 2.8 nats per token. Model B "
        "(vocabulary 4096) has 4.0 on the same text. Which predicts the text better?",
        choices=[
            "A, its loss is lower",
            "B, its vocabulary is larger",
            "That cannot be said before the losses are converted to bits per byte",
        ],
        answer=2,
        why=[
            "B's tokens are longer, so each carries more. A loss per token depends on the tokens.",
            "A larger vocabulary makes the guess harder and the text shorter. Neither makes the "
            "model better.",
            "With 2.2 bytes per token A pays 1.8 bits per byte. With 3.8 bytes per token B pays "
            "1.5 and would be the better one: the bytes per token decide.",
        ],
    ),
    Question(
        text="Training loss falls from step to step, validation loss has begun to rise. What "
        "happens?",
        choices=[
            "The learning rate is too high",
            "The model learns its training text by heart",
            "The validation text is too short",
        ],
        answer=1,
        why=[
            "That would show in the training loss too.",
            "What helps on the training text only is memory, not language. More text, a smaller "
            "model, dropout or an earlier stop help.",
            "That makes the curve noisy. It does not turn it round.",
        ],
    ),
    Question(
        text="A run is stopped and resumed from a checkpoint that holds the weights only. What "
        "follows?",
        choices=[
            "The same result: the weights are all that a model has",
            "Another result: the optimizer's averages, the step and the place in the data are lost",
            "An error message",
        ],
        answer=1,
        why=[
            "The model is the same, the run is not: AdamW's two averages start again at zero, and "
            "so do the schedule and the order of the batches.",
            "The resumed run warms up again and sees the first batches again. A checkpoint that "
            "resumes exactly holds all of them.",
            "Nothing complains, which is what makes the mistake expensive.",
        ],
    ),
]
