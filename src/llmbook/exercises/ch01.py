"""Exercises and quiz of chapter 1: the first generation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say, translate

# 01.softmax_with_temperature ---------------------------------------------------------------------


def softmax_with_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Turn logits into probabilities, at a temperature τ.

    Args:
        logits: scores (..., V); the last axis runs over the vocabulary.
        temperature: τ > 0.
    Returns:
        softmax(logits / τ), of the same shape; the last axis sums to 1.
        Scores of any size are fine: nothing overflows.
    """
    scaled = logits / temperature
    shifted = scaled - scaled.max(dim=-1, keepdim=True).values
    weights = shifted.exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def _temperature_multiplied(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits * temperature, dim=-1)


def _temperature_overflows(logits: Tensor, temperature: float) -> Tensor:
    weights = (logits / temperature).exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def _temperature_multiplied_overflows(logits: Tensor, temperature: float) -> Tensor:
    weights = (logits * temperature).exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def _temperature_total_overflows(logits: Tensor, temperature: float) -> Tensor:
    weights = (logits / temperature).exp()
    return weights / weights.sum()


def _temperature_first_axis(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits / temperature, dim=0)


def _temperature_total_sum(logits: Tensor, temperature: float) -> Tensor:
    scaled = logits / temperature
    weights = (scaled - scaled.max()).exp()
    return weights / weights.sum()


def _temperature_one_maximum(logits: Tensor, temperature: float) -> Tensor:
    scaled = logits / temperature
    weights = (scaled - scaled.max()).exp()
    return weights / weights.sum(dim=-1, keepdim=True)


def _temperature_divides_probabilities(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits, dim=-1) / temperature


def _temperature_ignored(logits: Tensor, temperature: float) -> Tensor:
    return torch.softmax(logits, dim=-1)


def _temperature_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for shape, temperature in [((7,), 0.5), ((3, 11), 2.0), ((2, 3, 5), 0.7), ((13,), 1.0)]:
        logits = 3.0 * torch.randn(shape, generator=g)
        note = say("logits {shape}, τ = {temperature}", shape=shape, temperature=temperature)
        cases.append(Case((logits, temperature), note=note))
    large = 1000.0 + 5.0 * torch.randn(5, generator=g)
    far_apart = torch.randn(2, 5, generator=g) + torch.tensor([[1000.0], [0.0]])
    return [
        *cases,
        Case((large, 1.5), note="logits near 1000, τ = 1.5"),
        Case((far_apart, 0.8), note="one row of logits near 1000, one near 0, τ = 0.8"),
    ]


def _temperature_reaches_its_limits(answer: Callable[..., Tensor]) -> None:
    logits = torch.tensor([1.0, 3.0, 2.0, -1.0])
    cold, hot = answer(logits, 0.01), answer(logits, 1000.0)
    best = translate("At τ = 0.01 the best token has {p:.3f}, not nearly 1.")
    assert cold[1] > 0.999, best.format(p=cold[1].item())
    span = translate("At τ = 1000 the probabilities still span {probabilities}.")
    assert hot.max() - hot.min() < 0.01, span.format(probabilities=hot.tolist())


_SOFTMAX_WITH_TEMPERATURE = Exercise(
    id="01.softmax_with_temperature",
    title="Temperature",
    statement=(
        "Write `softmax_with_temperature(logits, temperature)`. It divides the scores by the "
        "temperature τ and turns them into probabilities along the last axis. Scores as large "
        "as 1000 must not overflow. With `logits = [2, 1, 0]` the probabilities are "
        "`[0.665, 0.245, 0.090]` at τ = 1, and `[0.506, 0.307, 0.186]` at τ = 2."
    ),
    solution=softmax_with_temperature,
    example=Case((torch.tensor([2.0, 1.0, 0.0]), 2.0), note="the printed example, τ = 2"),
    cases=_temperature_cases,
    properties=[
        Property(
            "A low temperature picks the best token, a high one treats all alike.",
            _temperature_reaches_its_limits,
        )
    ],
    misconceptions=[
        Misconception(
            "multiplied",
            _temperature_multiplied,
            "You multiply by the temperature, so heat sharpens and cold flattens: the wrong way "
            "round. Divide the logits by τ.",
        ),
        Misconception(
            "overflows",
            _temperature_overflows,
            "Right for small scores, but the exponential of 1000 is infinity, and infinity over "
            "infinity is NaN. Subtract the largest score first: it cancels in the ratio.",
        ),
        Misconception(
            "multiplied_overflows",
            _temperature_multiplied_overflows,
            "Two things. You multiply by the temperature; divide by it. And the NaN comes from "
            "overflow: the exponential of 1000 is infinity. Subtract the largest score first.",
        ),
        Misconception(
            "total_overflows",
            _temperature_total_overflows,
            "Two things. You divide by the sum of everything; each row needs its own sum. And "
            "the NaN comes from overflow: the exponential of 1000 is infinity. Subtract each "
            "row's largest score first.",
        ),
        Misconception(
            "first_axis",
            _temperature_first_axis,
            "The sum runs over the first axis. The vocabulary is the **last** axis: each row of "
            "a table of logits becomes its own distribution, `dim=-1`.",
        ),
        Misconception(
            "total_sum",
            _temperature_total_sum,
            "You divide by the sum of everything, so a whole table sums to 1. Each row is a "
            "distribution of its own: sum over the last axis and keep it, "
            "`sum(dim=-1, keepdim=True)`.",
        ),
        Misconception(
            "one_maximum",
            _temperature_one_maximum,
            "You subtract the largest score of the whole table. A row far below it becomes all "
            "zeros, and 0/0 is NaN: each row needs its own maximum, `max(dim=-1, keepdim=True)`.",
        ),
        Misconception(
            "divides_probabilities",
            _temperature_divides_probabilities,
            "You divide the probabilities, after the softmax: they no longer sum to 1. The "
            "temperature divides the logits, before the exponential.",
        ),
        Misconception(
            "ignored",
            _temperature_ignored,
            "This is the softmax at τ = 1 whatever the temperature. If you divided probabilities "
            "by τ and normalised again, τ cancelled out: divide the logits instead.",
        ),
    ],
    nudges=[
        "Three steps: divide the scores by τ, take exponentials, divide by their sum.",
        "Which sum? With logits of shape (3, 11) there are three distributions of eleven tokens, "
        "so three sums. `keepdim=True` keeps the shapes compatible.",
        "Adding one constant to every score changes nothing after the division by the sum. "
        "Choose the constant so that the largest score becomes 0.",
    ],
    success="Your softmax is safe for scores of any size, and heat flattens it.",
    remark=(
        "Subtracting the maximum multiplies every weight by the same factor, which cancels in "
        "the ratio. The largest exponent is then 0, so nothing can overflow. `torch.softmax` does "
        "the same inside."
    ),
)

# 01.sequence_log_probability ---------------------------------------------------------------------


def sequence_log_probability(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability, in nats, of a text given its first token.

    Args:
        logits: what the model returned for the text, (T, V); row t scores
            the token at position t + 1.
        ids: the token ids of the text, (T,).
    Returns:
        log p(ids[1], …, ids[T-1] | ids[0]), a single number; 0 where T = 1.
    """
    log_probs = torch.log_softmax(logits[:-1], dim=-1)
    targets = ids[1:].unsqueeze(-1)
    return log_probs.gather(-1, targets).sum()


def _log_probability_unshifted(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=-1).gather(-1, ids.unsqueeze(-1)).sum()


def _log_probability_shifted_back(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.log_softmax(logits[1:], dim=-1).gather(-1, ids[:-1].unsqueeze(-1)).sum()


def _log_probability_all_pairs(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.log_softmax(logits[:-1], dim=-1)[:, ids[1:]].sum()


def _log_probability_sums_probabilities(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.softmax(logits[:-1], dim=-1).gather(-1, ids[1:].unsqueeze(-1)).sum()


def _log_probability_product(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.softmax(logits[:-1], dim=-1).gather(-1, ids[1:].unsqueeze(-1)).prod()


def _log_probability_mean(logits: Tensor, ids: Tensor) -> Tensor:
    return torch.log_softmax(logits[:-1], dim=-1).gather(-1, ids[1:].unsqueeze(-1)).mean()


def _log_probability_mean_by_hand(logits: Tensor, ids: Tensor) -> float:
    return float(sequence_log_probability(logits, ids)) / (len(ids) - 1)


def _log_probability_of_the_product(logits: Tensor, ids: Tensor) -> Tensor:
    return _log_probability_product(logits, ids).log()


def _log_probability_math_log(logits: Tensor, ids: Tensor) -> float:
    return math.log(float(_log_probability_product(logits, ids)))


def _log_probability_log_of_sum(logits: Tensor, ids: Tensor) -> Tensor:
    return _log_probability_sums_probabilities(logits, ids).log()


def _log_probability_negated(logits: Tensor, ids: Tensor) -> Tensor:
    return -torch.log_softmax(logits[:-1], dim=-1).gather(-1, ids[1:].unsqueeze(-1)).sum()


def _log_probability_raw_scores(logits: Tensor, ids: Tensor) -> Tensor:
    return logits[:-1].gather(-1, ids[1:].unsqueeze(-1)).sum()


def _log_probability_bits(logits: Tensor, ids: Tensor) -> Tensor:
    nats = torch.log_softmax(logits[:-1], dim=-1).gather(-1, ids[1:].unsqueeze(-1)).sum()
    return nats / math.log(2)


def _log_probability_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for length, vocab_size in [(5, 7), (3, 11), (13, 17), (1, 5), (401, 97)]:
        logits = 2.0 * torch.randn(length, vocab_size, generator=g)
        ids = torch.randint(vocab_size, (length,), generator=g)
        cases.append(Case((logits, ids), note=f"T = {length}, V = {vocab_size}"))
    return cases


def _uniform_model_pays_log_v(answer: Callable[..., Tensor]) -> None:
    got = float(answer(torch.zeros(4, 10), torch.tensor([3, 1, 4, 1])))
    expected = -3 * math.log(10)
    message = translate("got {got:.4f}, expected −3 · log 10 = {expected:.4f}")
    assert abs(got - expected) < 1e-4, message.format(got=got, expected=expected)


_SEQUENCE_LOG_PROBABILITY = Exercise(
    id="01.sequence_log_probability",
    title="The probability of a text",
    statement=(
        "Write `sequence_log_probability(logits, ids)`. `ids` are the T token ids of a text; "
        "`logits` (T, V) is what a model returned for it, where row t holds the scores of the "
        "token that comes **after** position t. Return the natural logarithm of the probability "
        "of the second to last tokens, given the first. With `ids = [0, 1, 1]` and "
        "`logits = [[0, log 3], [log 4, 0], [5, 9]]` the answer is log(3/4 · 1/5) = −1.897."
    ),
    solution=sequence_log_probability,
    example=Case(
        (
            torch.tensor([[0.0, math.log(3)], [math.log(4), 0.0], [5.0, 9.0]]),
            torch.tensor([0, 1, 1]),
        ),
        note="the printed example",
    ),
    cases=_log_probability_cases,
    properties=[
        Property(
            "A model that treats ten tokens alike pays log 10 for each of three predictions.",
            _uniform_model_pays_log_v,
        )
    ],
    misconceptions=[
        Misconception(
            "unshifted",
            _log_probability_unshifted,
            "You look each token up in its own row, but row t scores the token **after** "
            "position t. Drop the last row and the first id, then they face each other.",
        ),
        Misconception(
            "shifted_back",
            _log_probability_shifted_back,
            "The shift goes the wrong way: row t now faces the token before it. Row 0 predicts "
            "`ids[1]`, so use `logits[:-1]` with `ids[1:]`.",
        ),
        Misconception(
            "all_pairs",
            _log_probability_all_pairs,
            "`log_probs[:, ids[1:]]` picks every token's column in **every** row. Each row has "
            "one token of its own: pair them with `gather`, or index with "
            "`[torch.arange(len(ids) - 1), ids[1:]]`.",
        ),
        Misconception(
            "sums_probabilities",
            _log_probability_sums_probabilities,
            "You add probabilities. The chain rule multiplies them, and the logarithm turns that "
            "product into a sum of **logarithms**.",
        ),
        Misconception(
            "product",
            _log_probability_product,
            "This is the probability itself. It becomes too small to store after a few dozen "
            "tokens: return its logarithm, the sum of the log-probabilities.",
        ),
        Misconception(
            "mean",
            _log_probability_mean,
            "You took the mean over the tokens. The logarithm of a product is the **sum** of the "
            "logarithms. (The mean is useful too, as the loss of chapter 12, but it is not asked.)",
        ),
        Misconception(
            "mean_by_hand",
            _log_probability_mean_by_hand,
            "You divide by the number of predictions: a mean, which for a single token is 0/0. "
            "The logarithm of a product is the **sum** of the logarithms, with no division.",
        ),
        Misconception(
            "of_the_product",
            _log_probability_of_the_product,
            "Right for short texts. The product of some hundred probabilities is too small to "
            "store and becomes 0, whose logarithm is −∞. Take the logarithm of each factor "
            "first, then add.",
        ),
        Misconception(
            "math_log",
            _log_probability_math_log,
            "Right for short texts. The product of some hundred probabilities becomes 0 in the "
            "computer, and `math.log(0)` is an error. Take the logarithm of each factor first, "
            "then add.",
        ),
        Misconception(
            "log_of_sum",
            _log_probability_log_of_sum,
            "You add the probabilities and take the logarithm of the sum. First the logarithm "
            "of each probability, then the sum.",
        ),
        Misconception(
            "negated",
            _log_probability_negated,
            "The sign is turned round: this is the cost, the negative log-probability. A "
            "probability is at most 1, so its logarithm is at most 0.",
        ),
        Misconception(
            "raw_scores",
            _log_probability_raw_scores,
            "You add the logits themselves. They are scores that need not sum to anything: turn "
            "each row into log-probabilities first, `torch.log_softmax`.",
        ),
        Misconception(
            "bits",
            _log_probability_bits,
            "Your answer is in bits, base 2. The exercise asks for nats, the natural logarithm.",
        ),
    ],
    nudges=[
        "A text of T tokens has T − 1 predictions to score. Which row of the logits is left over?",
        "Chain rule: the probability of the text is the product of p(next token | tokens so far). "
        "The logarithm of a product is a sum.",
        "`torch.log_softmax(logits[:-1], dim=-1)` has one row per prediction. Pick the entry of "
        "the token that really came, with `gather` or with indexing by "
        "`torch.arange(len(ids) - 1)`.",
    ],
    success="You can now say how probable any text is, according to any model of this book.",
    remark=(
        "`gather` picks one column per row. The sum of logarithms never underflows, while the "
        "product of a few dozen probabilities does."
    ),
)

# 01.generate_greedy ------------------------------------------------------------------------------


def generate_greedy(model: Callable, ids: list[int], n: int) -> list[int]:
    """Continue a text by n tokens, each time taking the most probable one.

    Args:
        model: a function from a list of T token ids to logits (T, V); row t
            scores the token after position t.
        ids: the token ids of the prompt. Left as they are.
        n: number of tokens to add, n ≥ 0.
    Returns:
        The prompt's ids followed by n new ones.
    """
    text = list(ids)
    for _ in range(n):
        logits = model(text)
        text.append(int(logits[-1].argmax()))
    return text


def _greedy_first_row(model: Callable, ids: list[int], n: int) -> list[int]:
    text = list(ids)
    for _ in range(n):
        text.append(int(model(text)[0].argmax()))
    return text


def _greedy_whole_table(model: Callable, ids: list[int], n: int) -> list[int]:
    text = list(ids)
    for _ in range(n):
        text.append(int(model(text).argmax()))
    return text


def _greedy_prompt_only(model: Callable, ids: list[int], n: int) -> list[int]:
    return list(ids) + [int(model(list(ids))[-1].argmax()) for _ in range(n)]


def _greedy_last_token_only(model: Callable, ids: list[int], n: int) -> list[int]:
    text = list(ids)
    for _ in range(n):
        text.append(int(model(text[-1:])[-1].argmax()))
    return text


def _greedy_one_short(model: Callable, ids: list[int], n: int) -> list[int]:
    return generate_greedy(model, ids, n - 1)


def _greedy_new_tokens_only(model: Callable, ids: list[int], n: int) -> list[int]:
    return generate_greedy(model, ids, n)[len(ids) :]


def _greedy_total_length(model: Callable, ids: list[int], n: int) -> list[int]:
    text = list(ids)
    while len(text) < n:
        text.append(int(model(text)[-1].argmax()))
    return text


def _greedy_least_probable(model: Callable, ids: list[int], n: int) -> list[int]:
    text = list(ids)
    for _ in range(n):
        text.append(int(model(text)[-1].argsort()[0]))
    return text


def _greedy_changes_prompt(model: Callable, ids: list[int], n: int) -> list[int]:
    for _ in range(n):
        ids.append(int(model(ids)[-1].argmax()))
    return ids


def _toy_model(seed: int, vocab_size: int) -> Callable[[list[int]], Tensor]:
    """A model whose logits depend on the last token, on those before it and on the position."""
    g = torch.Generator().manual_seed(seed)
    near, far = torch.randn(2, vocab_size, vocab_size, generator=g)

    def model(ids: list[int]) -> Tensor:
        rows = torch.tensor(list(ids), dtype=torch.long)
        weights = torch.arange(1.0, len(rows) + 1).unsqueeze(-1)
        return near[rows] + (weights * far[rows]).cumsum(0) / weights

    return model


def _greedy_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for vocab_size, length, n in [(11, 3, 5), (17, 5, 7), (29, 2, 13), (7, 3, 0)]:
        seed = int(torch.randint(1_000_000, (1,), generator=g))
        ids = torch.randint(vocab_size, (length,), generator=g).tolist()
        note = say(
            "a vocabulary of {vocab_size}, the prompt {ids}, n = {n}",
            vocab_size=vocab_size,
            ids=ids,
            n=n,
        )
        cases.append(Case((_toy_model(seed, vocab_size), ids, n), note=note))
    return cases


def _count_upwards(ids: list[int]) -> Tensor:
    """The printed example's model: it expects the next number, and 0 after 9."""
    return torch.eye(10)[(torch.tensor(list(ids)) + 1) % 10]


def _greedy_repeats_itself(answer: Callable[..., list[int]]) -> None:
    model = _toy_model(5, 13)
    first, second = answer(model, [1, 2], 7), answer(model, [1, 2], 7)
    message = translate("the same call gave {first} and then {second}")
    assert first == second, message.format(first=first, second=second)


_GENERATE_GREEDY = Exercise(
    id="01.generate_greedy",
    title="The loop that writes",
    statement=(
        "Write `generate_greedy(model, ids, n)`. `model` is a function: give it a plain list of "
        "T token ids and it returns logits of shape (T, V), where row t scores the token after "
        "position t. (There is no batch axis here, unlike in the chapter.) Add n tokens to the "
        "prompt `ids`, one at a time, each time the one with the highest score, and return the "
        "whole list. With a model that expects the next digit, "
        "`generate_greedy(model, [7, 8], 3)` is `[7, 8, 9, 0, 1]`."
    ),
    solution=generate_greedy,
    example=Case((_count_upwards, [7, 8], 3), note="the printed example: a model that counts"),
    cases=_greedy_cases,
    properties=[Property("The same call gives the same text.", _greedy_repeats_itself)],
    misconceptions=[
        Misconception(
            "first_row",
            _greedy_first_row,
            "You read the first row of the logits: the model's guess for the token after the "
            "first one, which you already have. The token to come is scored by the **last** row.",
        ),
        Misconception(
            "whole_table",
            _greedy_whole_table,
            "`argmax` over the whole table gives a place in it, counted through all rows: that "
            "is no token id. Take the last row first, `logits[-1].argmax()`.",
        ),
        Misconception(
            "prompt_only",
            _greedy_prompt_only,
            "Each new token is computed from the prompt alone, so the same one comes every time. "
            "Append it and give the model the longer list at the next step.",
        ),
        Misconception(
            "last_token_only",
            _greedy_last_token_only,
            "You give the model the last token only. It then forgets everything before: give it "
            "the whole list so far.",
        ),
        Misconception(
            "one_short",
            _greedy_one_short,
            "One token is missing: your loop runs n − 1 times. `range(n)` runs n times.",
        ),
        Misconception(
            "new_tokens_only",
            _greedy_new_tokens_only,
            "These are the new tokens alone. Return the prompt's ids followed by them.",
        ),
        Misconception(
            "total_length",
            _greedy_total_length,
            "You stop when the whole list has n tokens. n counts the **new** tokens; the prompt "
            "does not count.",
        ),
        Misconception(
            "least_probable",
            _greedy_least_probable,
            "You take the lowest score: `argsort` sorts upwards, so its first entry is the worst "
            "token. Use `argmax`.",
        ),
        Misconception(
            "changes_prompt",
            _greedy_changes_prompt,
            "The text is right, but you write into the caller's own list `ids`. Begin with a "
            "copy, `new = list(ids)`, and append to that.",
        ),
    ],
    nudges=[
        "Copy the prompt into a new list, then repeat n times: ask the model, choose, append.",
        "The model returns one row per position. Which row has seen the whole text?",
        "`int(logits[-1].argmax())` is the id of the most probable next token.",
    ],
    success=(
        "Chat programs run this loop with a larger model; they usually draw the token instead of "
        "taking the best."
    ),
    remark=(
        "The model is asked again from the beginning at every step, which repeats most of the "
        "work. Chapter 10 keeps what was computed before, in a cache."
    ),
)

# 01.top_p ----------------------------------------------------------------------------------------


def top_p(probs: Tensor, p: float) -> Tensor:
    """Keep the most probable tokens that together reach p, and drop the rest.

    Args:
        probs: a distribution (V,), which sums to 1; no two entries are equal.
        p: the share to keep, 0 < p ≤ 1.
    Returns:
        A distribution (V,) over the smallest set of tokens whose
        probabilities sum to at least p: scaled to sum to 1, and 0 for all
        other tokens. Each token keeps its place.
    """
    order = probs.argsort(descending=True)
    ranked = probs[order]
    reached_before = ranked.cumsum(0) - ranked
    kept = order[reached_before < p]
    result = torch.zeros_like(probs)
    result[kept] = probs[kept]
    return result / result.sum()


def _top_p_stops_before(probs: Tensor, p: float) -> Tensor:
    order = probs.argsort(descending=True)
    kept = order[probs[order].cumsum(0) <= p]
    result = torch.zeros_like(probs)
    result[kept] = probs[kept]
    return result / result.sum()


def _top_p_one_too_many(probs: Tensor, p: float) -> Tensor:
    order = probs.argsort(descending=True)
    ranked = probs[order]
    kept = order[ranked.cumsum(0) - ranked <= p]
    result = torch.zeros_like(probs)
    result[kept] = probs[kept]
    return result / result.sum()


def _top_p_not_rescaled(probs: Tensor, p: float) -> Tensor:
    order = probs.argsort(descending=True)
    ranked = probs[order]
    kept = order[ranked.cumsum(0) - ranked < p]
    result = torch.zeros_like(probs)
    result[kept] = probs[kept]
    return result


def _top_p_from_the_bottom(probs: Tensor, p: float) -> Tensor:
    order = probs.argsort()
    ranked = probs[order]
    kept = order[ranked.cumsum(0) - ranked < p]
    result = torch.zeros_like(probs)
    result[kept] = probs[kept]
    return result / result.sum()


def _top_p_unsorted(probs: Tensor, p: float) -> Tensor:
    result = torch.where(probs.cumsum(0) - probs < p, probs, torch.zeros_like(probs))
    return result / result.sum()


def _top_p_sorted_result(probs: Tensor, p: float) -> Tensor:
    ranked = probs.sort(descending=True).values
    kept = torch.where(ranked.cumsum(0) - ranked < p, ranked, torch.zeros_like(ranked))
    return kept / kept.sum()


def _top_p_gathered_back(probs: Tensor, p: float) -> Tensor:
    order = probs.argsort(descending=True)
    ranked = probs[order]
    kept = torch.where(ranked.cumsum(0) - ranked < p, ranked, torch.zeros_like(ranked))
    return kept[order] / kept.sum()


def _top_p_divided_by_p(probs: Tensor, p: float) -> Tensor:
    return _top_p_not_rescaled(probs, p) / p


def _top_p_threshold(probs: Tensor, p: float) -> Tensor:
    result = torch.where(probs >= 1 - p, probs, torch.zeros_like(probs))
    return result / result.sum()


def _top_p_at_least_p(probs: Tensor, p: float) -> Tensor:
    result = torch.where(probs >= p, probs, torch.zeros_like(probs))
    return result / result.sum()


def _top_p_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for vocab_size, p in [(7, 0.6), (11, 0.9), (5, 0.35), (13, 0.75)]:
        probs = torch.softmax(1.5 * torch.randn(vocab_size, generator=g), dim=-1)
        cases.append(Case((probs, p), note=f"V = {vocab_size}, p = {p}"))
    peaked = torch.softmax(torch.randn(5, generator=g) + torch.tensor([0.0, 0, 9, 0, 0]), dim=-1)
    everything = torch.softmax(torch.randn(7, generator=g), dim=-1)
    return [
        *cases,
        Case((peaked, 0.5), note="one token holds nearly everything, p = 0.5"),
        Case((everything, 1.0), note="V = 7, p = 1"),
        # Sums of these are exact in binary, so that "reaches p" leaves no doubt.
        Case((torch.tensor([0.1875, 0.5, 0.0625, 0.25]), 0.75), note="two tokens reach p exactly"),
    ]


def _top_p_sums_to_one(answer: Callable[..., Tensor]) -> None:
    total = float(answer(torch.tensor([0.1, 0.4, 0.2, 0.3]), 0.65).sum())
    message = translate("the probabilities sum to {total:.3f}")
    assert abs(total - 1) < 1e-4, message.format(total=total)


_TOP_P = Exercise(
    id="01.top_p",
    title="Top-p: cut the tail",
    statement=(
        "Sampling from all tokens sometimes picks one of the thousands that are each very "
        "unlikely. Write `top_p(probs, p)`: keep the smallest set of most probable tokens whose "
        "probabilities sum to at least p, set all others to 0, and scale what is left so that it "
        "sums to 1. Each token stays at its own place. With `probs = [0.15, 0.5, 0.05, 0.3]` and "
        "`p = 0.7` the result is `[0, 0.625, 0, 0.375]`."
    ),
    solution=top_p,
    example=Case((torch.tensor([0.15, 0.5, 0.05, 0.3]), 0.7), note="the printed example"),
    cases=_top_p_cases,
    properties=[Property("The result sums to 1.", _top_p_sums_to_one)],
    misconceptions=[
        Misconception(
            "stops_before",
            _top_p_stops_before,
            "The token that carries the sum across p is missing: the kept set then falls short "
            "of p, and is even empty when the first token alone exceeds p. Keep a token when "
            "the sum **before** it is still below p.",
        ),
        Misconception(
            "one_too_many",
            _top_p_one_too_many,
            "Where the sum reaches p exactly, you keep one token more. p is reached then: keep a "
            "token only while the sum before it is **below** p, `<` and not `<=`.",
        ),
        Misconception(
            "not_rescaled",
            _top_p_not_rescaled,
            "The right tokens are kept, but they no longer sum to 1. Divide by their sum.",
        ),
        Misconception(
            "from_the_bottom",
            _top_p_from_the_bottom,
            "You start from the least probable token: `argsort` and `sort` go upwards unless you "
            "say `descending=True`.",
        ),
        Misconception(
            "unsorted",
            _top_p_unsorted,
            "You add the probabilities up in the order of the vocabulary. Sort them first, the "
            "largest in front.",
        ),
        Misconception(
            "sorted_result",
            _top_p_sorted_result,
            "The values are right but sit at the places of the sorted list, so each token has "
            "another token's probability. Carry them back with the indices from `argsort`.",
        ),
        Misconception(
            "gathered_back",
            _top_p_gathered_back,
            "`ranked[order]` sorts a second time; it does not undo the first. To carry values "
            "back write at the indices: `result[order] = ranked`.",
        ),
        Misconception(
            "divided_by_p",
            _top_p_divided_by_p,
            "You divide by p. The kept tokens reach p or a little more: divide by their own sum.",
        ),
        Misconception(
            "threshold",
            _top_p_threshold,
            "You keep every token above a fixed threshold. p is a share of the **total**: add "
            "the probabilities up from the largest until the sum reaches p.",
        ),
        Misconception(
            "at_least_p",
            _top_p_at_least_p,
            "You compare each probability with p. Often no single token reaches p, and 0/0 is "
            "NaN. It is the **running sum**, from the largest downwards, that has to reach p.",
        ),
    ],
    nudges=[
        "Sort downwards and add up. Where does the running sum first reach p?",
        "A token is kept when the sum of all more probable tokens is still below p.",
        "`order = probs.argsort(descending=True)` remembers where each token came from: "
        "`result[order[keep]] = probs[order[keep]]` puts it back.",
    ],
    success="Your sampler keeps the head of the distribution and drops the tail.",
    remark=(
        "The method is called nucleus sampling, from Holtzman and others (2020). The number of "
        "tokens kept changes from step to step: few where the model is sure, many where it is not."
    ),
)

EXERCISES = [_SOFTMAX_WITH_TEMPERATURE, _SEQUENCE_LOG_PROBABILITY, _GENERATE_GREEDY, _TOP_P]

QUIZ = [
    Question(
        text="What does a language model of this kind return for a text of T tokens?",
        choices=[
            "The one token that comes next",
            "For every position, a score for each token of the vocabulary",
            "A finished sentence, from which the tokens are cut",
        ],
        answer=1,
        why=[
            "The token is chosen afterwards, by a rule that is not part of the model.",
            "Right: T rows of V logits. The last row is used to continue the text, all of them "
            "to score it.",
            "There is no sentence inside. It grows by one token per run of the model.",
        ],
    ),
    Question(
        text="What happens to the distribution of the next token as the temperature falls to 0?",
        choices=[
            "It becomes uniform",
            "Nothing: only the random numbers change",
            "All of its probability gathers on the token with the highest logit",
        ],
        answer=2,
        why=[
            "That is the other end, a very high temperature.",
            "The temperature divides the logits, so the distribution itself changes.",
            "Right: at temperature 0 sampling and greedy choice are the same.",
        ],
    ),
    Question(
        text=(
            "A model gives sentence A the log-probability −42 and sentence B −47, in nats. "
            "How do their probabilities compare?"
        ),
        choices=[
            "A is about 148 times as probable as B",
            "A is 5 times as probable as B",
            "A is 5 % more probable than B",
        ],
        answer=0,
        why=[
            "Right: a difference of 5 nats is a factor of e⁵, about 148.",
            "A difference of logarithms is a ratio, and its base is e: e⁵, not 5.",
            "Logarithms differ by 5; that is a factor of e⁵, not a share of the total.",
        ],
    ),
    Question(
        text="Why does the small model of this chapter write in the manner of its training text?",
        choices=[
            "It copies whole passages that it stores",
            "Its probabilities were fitted to that text, so likely continuations resemble it",
            "The tokenizer only knows words that occur there",
        ],
        answer=1,
        why=[
            "It can repeat common phrases, but it stores numbers, not passages, and most of what "
            "it writes never stood anywhere.",
            "Right: training made the tokens of that text probable, and sampling returns what is "
            "probable.",
            "A byte-level tokenizer can write any text; the model finds other text improbable.",
        ],
    ),
    Question(
        text="How many parameters does GPT-4 have?",
        choices=[
            "1.76 trillion",
            "175 billion",
            "Its developer has never said",
        ],
        answer=2,
        why=[
            "That number is a rumour. No document of the developer confirms it.",
            "That is GPT-3, from its paper of 2020.",
            "Right: the technical report declines to give the size. In the timeline it is "
            "“unpublished”.",
        ],
    ),
]
