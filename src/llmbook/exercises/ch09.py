"""Exercises and quiz of chapter 9: training a Transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# 09.trapezoid ----------------------------------------------------------------------------------


def trapezoid(step: int, n_steps: int, n_warmup: int, n_decay: int, peak: float) -> float:
    """Warm up, stay, and cool down at the end, each in a straight line.

    Args:
        step: counted from 0, the first step.
        n_steps: steps of the whole run.
        n_warmup: steps of warm-up; step ``n_warmup - 1`` has the full rate. May be 0.
        n_decay: the last so many steps cool down. May be 0.
        peak: the rate in between.
    Returns:
        The learning rate of this step. The last step of a cool-down has ``peak / n_decay``, and
        the first the full rate.
    """
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    left = n_steps - step
    return peak * left / n_decay if left < n_decay else peak


def _rate_from_zero(step, n_steps, n_warmup, n_decay, peak):
    if step < n_warmup:
        return peak * step / n_warmup
    return trapezoid(step, n_steps, n_warmup, n_decay, peak)


def _rate_ends_at_zero(step, n_steps, n_warmup, n_decay, peak):
    left = n_steps - 1 - step
    if step >= n_warmup and left < n_decay:
        return peak * left / n_decay
    return trapezoid(step, n_steps, n_warmup, n_decay, peak)


def _rate_no_plateau(step, n_steps, n_warmup, n_decay, peak):
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    return peak * (n_steps - step) / (n_steps - n_warmup)


def _rate_no_cooling(step, n_steps, n_warmup, n_decay, peak):
    return peak * (step + 1) / n_warmup if step < n_warmup else peak


def _rate_cosine(step, n_steps, n_warmup, n_decay, peak):
    left = n_steps - step
    if step >= n_warmup and left < n_decay:
        return peak * 0.5 * (1 - math.cos(math.pi * left / n_decay))
    return trapezoid(step, n_steps, n_warmup, n_decay, peak)


def _rate_decay_after_warmup(step, n_steps, n_warmup, n_decay, peak):
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    done = step - n_warmup
    return peak * (1 - done / n_decay) if n_decay and done < n_decay else 0.0


def _rate_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n_steps, n_warmup, n_decay in ((101, 10, 20), (97, 13, 31), (53, 0, 7), (47, 5, 0)):
        peak = float(torch.rand(1, generator=g)) + 0.5
        steps = {0, n_warmup // 2, max(n_warmup - 1, 0), n_steps // 2, n_steps - 4, n_steps - 1}
        for step in sorted(steps):
            note = say(
                "step {step} of {n_steps}, warm-up {n_warmup}, cool-down {n_decay}",
                step=step,
                n_steps=n_steps,
                n_warmup=n_warmup,
                n_decay=n_decay,
            )
            cases.append(Case((step, n_steps, n_warmup, n_decay, peak), note=note))
    return cases


def _rate_always_moves(answer) -> None:
    rates = [answer(step, 40, 10, 8, 1.0) for step in range(40)]
    assert min(rates) > 0, say(
        "At step {a} the rate is {b:.3f}.", a=rates.index(min(rates)), b=min(rates)
    )


_RATE = Exercise(
    id="09.trapezoid",
    title="Warm up, stay, cool down",
    statement=(
        "Write `trapezoid(step, n_steps, n_warmup, n_decay, peak)`. In the first `n_warmup` steps "
        "the rate rises in a straight line, from `peak / n_warmup` to `peak`; then it stays; in "
        "the last `n_decay` steps it falls in a straight line, from `peak` at the first of them to "
        "`peak / n_decay` at the last step of the run. With `n_steps = 100`, `n_warmup = 10`, "
        "`n_decay = 20` and `peak = 1` the rate is 0.1 at step 0, 1 at step 80 and 0.5 at step 90."
    ),
    solution=trapezoid,
    example=Case((90, 100, 10, 20, 1.0), note="the printed example"),
    cases=_rate_cases,
    properties=[Property("No step has the rate 0.", _rate_always_moves)],
    misconceptions=[
        Misconception(
            "from_zero",
            _rate_from_zero,
            "Step 0 gets the rate 0: a step that moves nothing, and the peak comes one step late. "
            "Count `step + 1`.",
        ),
        Misconception(
            "ends_at_zero",
            _rate_ends_at_zero,
            "The last step has the rate 0, so it moves nothing. At step `n_steps - 1` one step is "
            "left, not none.",
        ),
        Misconception(
            "no_plateau",
            _rate_no_plateau,
            "The rate begins to fall as soon as warm-up ends. It should stay at the peak until the "
            "last `n_decay` steps.",
        ),
        Misconception(
            "no_cooling",
            _rate_no_cooling,
            "The rate never falls. In the last `n_decay` steps it is the peak times the share of "
            "the cool-down that is left.",
        ),
        Misconception(
            "cosine",
            _rate_cosine,
            "You cool down along a cosine. A fair choice, but a straight line is asked for.",
        ),
        Misconception(
            "decay_after_warmup",
            _rate_decay_after_warmup,
            "The cool-down follows warm-up at once. It belongs to the *end* of the run: count the "
            "steps that are left, `n_steps - step`.",
        ),
    ],
    nudges=[
        "Three branches: warm-up, the last `n_decay` steps, and everything between.",
        "How many steps are left at `step`, itself included? At the first step of the cool-down "
        "that is `n_decay`.",
    ],
    success="A run can be stopped at any time: cool down from wherever it is.",
    remark="The plateau does not depend on `n_steps`. A cosine does: it has to know the end "
    "beforehand.",
)

# 09.adamw_step ---------------------------------------------------------------------------------


def adamw_step(
    w: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    t: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of AdamW.

    Args:
        w: the parameter.
        g: its gradient, of the same shape.
        m: running average of gradients before this step.
        v: running average of squared gradients before this step.
        t: number of this step, 1 for the first.
        lr: learning rate.
        betas: the shares of m and of v that are kept.
        eps: added to the root.
        weight_decay: the decoupled decay λ.
    Returns:
        The new w, m and v.
    """
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    w = w - lr * weight_decay * w - lr * m_hat / (v_hat.sqrt() + eps)
    return w, m, v


def _adam_no_correction(w, g, m, v, t, lr, betas, eps, weight_decay):
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    return w - lr * weight_decay * w - lr * m / (v.sqrt() + eps), m, v


def _adam_coupled(w, g, m, v, t, lr, betas, eps, weight_decay):
    return adamw_step(w, g + weight_decay * w, m, v, t, lr, betas, eps, 0.0)


def _adam_decay_without_rate(w, g, m, v, t, lr, betas, eps, weight_decay):
    return adamw_step(w, g, m, v, t, lr, betas, eps, weight_decay / lr)


def _adam_no_decay(w, g, m, v, t, lr, betas, eps, weight_decay):
    return adamw_step(w, g, m, v, t, lr, betas, eps, 0.0)


def _adam_no_root(w, g, m, v, t, lr, betas, eps, weight_decay):
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    step = m / (1 - betas[0] ** t) / (v / (1 - betas[1] ** t) + eps)
    return w - lr * weight_decay * w - lr * step, m, v


def _adam_eps_inside(w, g, m, v, t, lr, betas, eps, weight_decay):
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    step = m / (1 - betas[0] ** t) / (v / (1 - betas[1] ** t) + eps).sqrt()
    return w - lr * weight_decay * w - lr * step, m, v


def _adam_keeps_corrected(w, g, m, v, t, lr, betas, eps, weight_decay):
    w, m, v = adamw_step(w, g, m, v, t, lr, betas, eps, weight_decay)
    return w, m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)


def _adam_shares_swapped(w, g, m, v, t, lr, betas, eps, weight_decay):
    swapped = (1 - betas[0], 1 - betas[1])
    m = swapped[0] * m + betas[0] * g
    v = swapped[1] * v + betas[1] * g**2
    step = m / (1 - betas[0] ** t) / ((v / (1 - betas[1] ** t)).sqrt() + eps)
    return w - lr * weight_decay * w - lr * step, m, v


def _adam_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for t, shape in ((1, (5, 3)), (2, (7,)), (11, (3, 2, 5))):
        w, gradient, m = (torch.randn(shape, generator=g) for _ in range(3))
        v = torch.rand(shape, generator=g) + 0.1
        if t == 1:
            m, v = torch.zeros(shape), torch.zeros(shape)
        cases.append(
            Case((w, gradient, m, v, t, 0.1, (0.9, 0.95), 0.05, 0.3), note=f"t = {t}, {shape}")
        )
    return cases


def _adam_first_step_is_the_rate(answer) -> None:
    zero, g = torch.zeros(4), torch.tensor([1e-3, -2.0, 50.0, -7.0])
    w, _, _ = answer(zero, g, zero, zero, 1, 0.01, (0.9, 0.95), 1e-12, 0.0)
    worst = float((w.abs() - 0.01).abs().max())
    assert worst < 1e-5, say(
        "The first step of some weight misses the learning rate by {worst:.4f}.", worst=worst
    )


_ADAMW = Exercise(
    id="09.adamw_step",
    title="One step of AdamW",
    statement=(
        "Write `adamw_step(w, g, m, v, t, lr, betas, eps, weight_decay)`, which returns the new "
        "`w`, `m` and `v`: update the two running averages, divide each by `1 - beta**t`, step, "
        "and pull the weights towards zero by `lr * weight_decay` times themselves, outside the "
        "averages. Both terms use the `w` that came in. `eps` is added to the root. With `w = 2`, "
        "`g = 0.5`, `m = v = 0`, `t = 1`, `lr = 0.1`, `betas = (0.9, 0.95)`, `eps = 0` and "
        "`weight_decay = 0.5` the new weight is `2 − 0.1 · 0.5 · 2 − 0.1 = 1.8`."
    ),
    solution=adamw_step,
    example=Case(
        (
            torch.tensor([2.0]),
            torch.tensor([0.5]),
            torch.zeros(1),
            torch.zeros(1),
            1,
            0.1,
            (0.9, 0.95),
            0.0,
            0.5,
        ),
        note="the printed example",
    ),
    cases=_adam_cases,
    properties=[
        Property(
            "Without decay each weight's first step is as long as the learning rate.",
            _adam_first_step_is_the_rate,
        )
    ],
    misconceptions=[
        Misconception(
            "no_correction",
            _adam_no_correction,
            "The averages start at zero and are too small at first, v more so than m. Divide them "
            "by 1 − β₁ᵗ and 1 − β₂ᵗ before they are used.",
        ),
        Misconception(
            "coupled",
            _adam_coupled,
            "You add the decay to the gradient. There Adam divides it by the root of v: that is "
            "Adam with an L2 penalty. The W stands for taking it outside.",
        ),
        Misconception(
            "decay_without_rate",
            _adam_decay_without_rate,
            "The decay is not multiplied by the learning rate, so it stays at full strength while "
            "the rate warms up and cools down. Pull by `lr * weight_decay * w`.",
        ),
        Misconception(
            "no_decay",
            _adam_no_decay,
            "This is Adam: right, but the weights are not pulled towards zero. Subtract "
            "`lr * weight_decay * w` as well.",
        ),
        Misconception(
            "no_root",
            _adam_no_root,
            "You divide by v itself. v averages squares: its root is the gradient's usual size.",
        ),
        Misconception(
            "eps_inside",
            _adam_eps_inside,
            "`eps` stands under the root. Add it to the root: √v̂ + eps.",
        ),
        Misconception(
            "keeps_corrected",
            _adam_keeps_corrected,
            "The weights are right, but you return the corrected averages. The next step would "
            "correct them again: return m and v as they were before the division.",
        ),
        Misconception(
            "shares_swapped",
            _adam_shares_swapped,
            "β is the share that is *kept*: m ← β₁ m + (1 − β₁) g. You keep 1 − β.",
        ),
    ],
    nudges=[
        "Four lines: m, v, the two corrected ones, the step.",
        "m ← β₁ m + (1 − β₁) g, and v the same with β₂ and the square of g.",
        "The pull is a term of its own: lr · λ · w, which never enters m or v.",
    ],
    success="Your step is that of AdamW, bias correction and decoupled decay included.",
    remark="With eps = 0 the first step divides g by its own size: its sign is all that is left.",
)

# 09.loss_scale ---------------------------------------------------------------------------------


def loss_scale(
    gradients: list[Tensor], scale: float, n_good: int, growth_interval: int
) -> tuple[list[Tensor] | None, float, int]:
    """Undo the scaling of a loss, and choose the scale of the next step.

    Args:
        gradients: of the loss times ``scale``; they may hold inf or nan.
        scale: the factor that the loss was multiplied by.
        n_good: steps without inf or nan since the scale last changed.
        growth_interval: after so many good steps the scale is doubled.
    Returns:
        The gradients of the loss itself, or None if this step must be skipped;
        the scale and the number of good steps for the next step.
    """
    if not all(bool(g.isfinite().all()) for g in gradients):
        return None, scale / 2, 0
    unscaled = [g / scale for g in gradients]
    if n_good + 1 >= growth_interval:
        return unscaled, scale * 2, 0
    return unscaled, scale, n_good + 1


def _scale_nan_only(gradients, scale, n_good, growth_interval):
    if any(bool(g.isnan().any()) for g in gradients):
        return None, scale / 2, 0
    finite = [g.nan_to_num(0.0, 0.0, 0.0) for g in gradients]
    _, new_scale, good = loss_scale(finite, scale, n_good, growth_interval)
    return [g / scale for g in gradients], new_scale, good


def _scale_step_anyway(gradients, scale, n_good, growth_interval):
    _, new_scale, good = loss_scale(gradients, scale, n_good, growth_interval)
    return [(g / scale).nan_to_num(0.0, 0.0, 0.0) for g in gradients], new_scale, good


def _scale_count_kept(gradients, scale, n_good, growth_interval):
    unscaled, new_scale, good = loss_scale(gradients, scale, n_good, growth_interval)
    return unscaled, new_scale, n_good if unscaled is None else good


def _scale_by_the_new(gradients, scale, n_good, growth_interval):
    unscaled, new_scale, good = loss_scale(gradients, scale, n_good, growth_interval)
    return None if unscaled is None else [g / new_scale for g in gradients], new_scale, good


def _scale_never_grows(gradients, scale, n_good, growth_interval):
    unscaled, new_scale, good = loss_scale(gradients, scale, n_good, 10**9)
    return unscaled, new_scale, good


def _scale_forgotten(gradients, scale, n_good, growth_interval):
    unscaled, new_scale, good = loss_scale(gradients, scale, n_good, growth_interval)
    return None if unscaled is None else [g * 1.0 for g in gradients], new_scale, good


def _scale_grows_late(gradients, scale, n_good, growth_interval):
    if n_good < growth_interval:
        return loss_scale(gradients, scale, n_good, growth_interval + 1)
    return loss_scale(gradients, scale, n_good, n_good + 1)


def _scale_cases(g: torch.Generator) -> list[Case]:
    def draw() -> list[Tensor]:
        return [torch.randn(size, generator=g) for size in ((3, 5), (7,))]

    with_inf, with_nan = draw(), draw()
    with_inf[1][int(torch.randint(7, (1,), generator=g))] = math.inf
    with_nan[0][1, 2] = math.nan
    return [
        Case((draw(), 1024.0, 3, 100), note="all finite"),
        Case((draw(), 512.0, 6, 7), note="the growth interval is complete"),
        Case((draw(), 256.0, 9, 7), note="more good steps than the growth interval"),
        Case((with_inf, 2048.0, 5, 100), note="one gradient is inf"),
        Case((with_nan, 4096.0, 2, 100), note="one gradient is nan"),
    ]


_SCALE = Exercise(
    id="09.loss_scale",
    title="A loss scale that finds itself",
    statement=(
        "Write `loss_scale(gradients, scale, n_good, growth_interval)`, the bookkeeping of "
        "training in float16. If any gradient is inf or nan, the step must be skipped: return "
        "`None`, half the scale, and 0 good steps. Otherwise return the gradients divided by "
        "`scale`, the scale, and one more good step; when the good steps, this one included, "
        "reach `growth_interval`, return twice the scale and 0 good steps. With the gradient "
        "`[8, 16]`, `scale = 8`, `n_good = 0` and `growth_interval = 5` the result is "
        "`([[1, 2]], 8, 1)`."
    ),
    solution=loss_scale,
    example=Case(([torch.tensor([8.0, 16.0])], 8.0, 0, 5), note="the printed example"),
    cases=_scale_cases,
    misconceptions=[
        Misconception(
            "nan_only",
            _scale_nan_only,
            "An inf slips through. Too large a scale shows as inf first; nan comes when two of "
            "them meet. Test every gradient of the list with `isfinite`.",
        ),
        Misconception(
            "step_anyway",
            _scale_step_anyway,
            "You return gradients although some were not finite. What was lost cannot be put "
            "right by zeros: skip the step, return None.",
        ),
        Misconception(
            "count_kept",
            _scale_count_kept,
            "After an overflow the count of good steps begins again at 0; otherwise the scale "
            "grows back before the smaller one has been tried for long.",
        ),
        Misconception(
            "by_the_new",
            _scale_by_the_new,
            "You divide by the new scale. These gradients were made with the old one.",
        ),
        Misconception(
            "never_grows",
            _scale_never_grows,
            "The scale never rises again. After `growth_interval` good steps double it, or one "
            "early overflow leaves it too small for the rest of the run.",
        ),
        Misconception(
            "forgotten",
            _scale_forgotten,
            "The gradients are still those of the scaled loss, `scale` times too long. Divide.",
        ),
        Misconception(
            "grows_late",
            _scale_grows_late,
            "The scale doubles one step late: the step at hand counts as a good one too.",
        ),
    ],
    nudges=[
        "Three outcomes: overflow; good; good and the interval is complete.",
        "`g.isfinite().all()` is False for inf and for nan.",
        "Divide by the scale that came in, whatever the next one will be.",
    ],
    success="The scale climbs until something overflows, steps back, and loses one step only.",
    remark="`torch.amp.GradScaler` keeps the same two numbers; its growth interval is 2,000 steps "
    "unless told otherwise.",
)

# 09.noise_scale --------------------------------------------------------------------------------


def noise_scale(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How noisy is a gradient? The simple noise scale, without bias.

    Args:
        gradients: (N, P), the gradients of N windows of text, drawn independently, with respect
            to P parameters.
    Returns:
        Three numbers: tr(Σ), the variance of one window's gradient, summed over the parameters;
        |G|², the squared length of the true gradient, estimated without bias;
        and the noise scale tr(Σ)/|G|².
    """
    n = gradients.shape[0]
    mean = gradients.mean(dim=0)
    trace = (gradients - mean).square().sum() / (n - 1)
    signal = mean.square().sum() - trace / n
    return trace, signal, trace / signal


def _noise_biased_variance(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    n = gradients.shape[0]
    mean = gradients.mean(dim=0)
    trace = (gradients - mean).square().sum() / n
    signal = mean.square().sum() - trace / n
    return trace, signal, trace / signal


def _noise_biased_signal(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    trace = noise_scale(gradients)[0]
    signal = gradients.mean(dim=0).square().sum()
    return trace, signal, trace / signal


def _noise_single_lengths(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    trace = noise_scale(gradients)[0]
    signal = gradients.square().sum(dim=1).mean()
    return trace, signal, trace / signal


def _noise_mean_over_parameters(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    trace, signal, _ = noise_scale(gradients)
    trace = trace / gradients.shape[1]
    return trace, signal, trace / signal


def _noise_not_centred(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    signal = noise_scale(gradients)[1]
    trace = gradients.square().sum(dim=1).mean()
    return trace, signal, trace / signal


def _noise_inverted(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    trace, signal, _ = noise_scale(gradients)
    return trace, signal, signal / trace


def _noise_wrong_axis(gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return noise_scale(gradients.T)


def _noise_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n, p, size in ((7, 11, 1.0), (13, 5, 2.0), (31, 3, 0.5)):
        true = size * (1 + torch.rand(p, generator=g))
        gradients = true + torch.randn(n, p, generator=g)
        cases.append(Case((gradients,), note=say("N = {n} windows, P = {p} parameters", n=n, p=p)))
    return cases


def _noise_signal_is_unbiased(answer) -> None:
    g = torch.Generator().manual_seed(5)
    true = torch.tensor([0.5, -0.5, 0.5])
    runs = [float(answer(true + torch.randn(4, 3, generator=g))[1]) for _ in range(2000)]
    mean = sum(runs) / len(runs)
    assert abs(mean - 0.75) < 0.12, say(
        "True |G|² is 0.75; the mean of your estimates is {mean:.2f}.", mean=mean
    )


_NOISE = Exercise(
    id="09.noise_scale",
    title="Signal and noise in a gradient",
    statement=(
        "Write `noise_scale(gradients)` for a table (N, P), one row for each window's gradient. "
        "Return tr(Σ), |G|² and their ratio. tr(Σ) is the variance between windows (divide by "
        "`N - 1`), summed over the parameters. The squared length of the mean gradient is too "
        "large an estimate of |G|², since it holds the noise of the mean, tr(Σ)/N: subtract that. "
        "With `gradients = [[3, 0], [1, 2]]` the mean is (2, 1), tr(Σ) = 4, |G|² = 5 − 2 = 3, and "
        "the scale is 4/3."
    ),
    solution=noise_scale,
    example=Case((torch.tensor([[3.0, 0.0], [1.0, 2.0]]),), note="the printed example"),
    cases=_noise_cases,
    properties=[Property("|G|² is right on average.", _noise_signal_is_unbiased)],
    misconceptions=[
        Misconception(
            "biased_variance",
            _noise_biased_variance,
            "You divide the squared deviations by N. The mean was fitted to the same rows, which "
            "costs one of them: divide by N − 1.",
        ),
        Misconception(
            "biased_signal",
            _noise_biased_signal,
            "|G|² is too large: the mean of N rows still holds noise of size tr(Σ)/N. Subtract it.",
        ),
        Misconception(
            "single_lengths",
            _noise_single_lengths,
            "You average the squared lengths of single gradients, which are mostly noise. Average "
            "the rows first, then take the length.",
        ),
        Misconception(
            "mean_over_parameters",
            _noise_mean_over_parameters,
            "You average over the parameters. The trace is a *sum* over them, as a squared length "
            "is.",
        ),
        Misconception(
            "not_centred",
            _noise_not_centred,
            "You sum squares without subtracting the mean. That is noise and signal together.",
        ),
        Misconception(
            "inverted",
            _noise_inverted,
            "Upside down: the more noise, the larger the scale.",
        ),
        Misconception(
            "wrong_axis",
            _noise_wrong_axis,
            "You treat columns as windows. Rows are windows: the mean is over `dim=0`.",
        ),
    ],
    nudges=[
        "The mean over `dim=0` is the gradient of the whole batch. What is left in each row is "
        "noise.",
        "tr(Σ) is the sum of all squared deviations over N − 1.",
        "The mean of N rows has the noise tr(Σ)/N. Take it away from its squared length.",
    ],
    success="You can now say what a larger batch is worth, from one batch.",
    remark="With few windows |G|² may come out negative: then the batch is too noisy to tell.",
)

EXERCISES = [_RATE, _ADAMW, _SCALE, _NOISE]

QUIZ = [
    Question(
        text="AdamW takes its very first step, with betas (0.9, 0.95) and no decay. One weight "
        "has the gradient 100, another 0.001. How far do they move?",
        choices=[
            "The first one 100,000 times as far as the second",
            "Both by the learning rate",
            "Both by a tenth of the learning rate",
        ],
        answer=1,
        why=[
            "That would be plain gradient descent. Adam divides by the gradient's own usual size.",
            "After bias correction the averages are g and g²: the step is lr · g/|g|. Size is "
            "lost, only the sign is left, and one batch decides it: a reason for warm-up.",
            "That is what m would give without bias correction (and v would then be too small as "
            "well).",
        ],
    ),
    Question(
        text="A run's training loss falls as in a sound run. Its held-out loss climbs above "
        "ln V. Which fault fits?",
        choices=[
            "The causal mask is missing",
            "The learning rate is far too small",
            "The held-out text was encoded with another vocabulary",
        ],
        answer=2,
        why=[
            "A leak makes both losses too good, since both read through the same model.",
            "Then the training loss would not fall either.",
            "Worse than ln V means confident and wrong: the model speaks one code and is examined "
            "in another.",
        ],
    ),
    Question(
        text="Your gradients have a simple noise scale of 40 windows. You train with batches of "
        "8. What does a batch of 16 bring?",
        choices=[
            "Nearly twice the progress in each step",
            "Almost nothing: the gradient is exact already",
            "The same progress in each step, and a better model",
        ],
        answer=0,
        why=[
            "Below the noise scale the batch's gradient is mostly noise, and doubling the batch "
            "halves the noise's variance.",
            "That holds far above the noise scale.",
            "At a batch far below the noise scale a less noisy gradient does allow longer steps.",
        ],
    ),
    Question(
        text="Float16 has 5 bits of exponent, bfloat16 has 8. Which one needs loss scaling?",
        choices=[
            "Float16: small gradients fall below its smallest number",
            "Bfloat16: it has fewer bits for the fraction",
            "Both, since both have 16 bits",
        ],
        answer=0,
        why=[
            "Scaling moves the gradients up into the range that the format has.",
            "Fewer fraction bits make numbers coarser, not smaller in range: its range is that of "
            "float32.",
            "It is the exponent that decides the range.",
        ],
    ),
]
