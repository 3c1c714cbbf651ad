"""Exercises and quiz of chapter 4: n-gram models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import torch

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# 04.bigram_mle -----------------------------------------------------------------------------------


def bigram_mle(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    """Maximum-likelihood bigram probabilities.

    Args:
        sentences: each a list of words. Before the first word stands "<s>",
            after the last "</s>"; add them yourself.
    Returns:
        For every pair (v, w) that occurs: the probability of w, given that
        the word before is v.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in sentences:
        words = ["<s>", *sentence, "</s>"]
        pairs.update(pairwise(words))
    context: Counter[str] = Counter()
    for (v, _), n in pairs.items():
        context[v] += n
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))


def _marked(sentences: list[list[str]]) -> list[tuple[str, str]]:
    return [p for s in sentences for p in _pairs(["<s>", *s, "</s>"])]


def _mle_joint(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(_marked(sentences))
    return {p: n / sum(pairs.values()) for p, n in pairs.items()}


def _mle_backwards(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(_marked(sentences))
    after = Counter(w for _, w in _marked(sentences))
    return {(v, w): n / after[w] for (v, w), n in pairs.items()}


def _mle_across(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    words = [w for s in sentences for w in ["<s>", *s, "</s>"]]
    pairs, context = Counter(_pairs(words)), Counter(words[:-1])
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _mle_joined(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    words = [w for s in sentences for w in s]
    pairs, context = Counter(_pairs(words)), Counter(words[:-1])
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _mle_one_text(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    words = ["<s>", *(w for s in sentences for w in s), "</s>"]
    pairs, context = Counter(_pairs(words)), Counter(words[:-1])
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _mle_last_words(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(p for s in sentences for p in _pairs(s))
    context = Counter(w for s in sentences for w in s)
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _mle_no_marks(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(p for s in sentences for p in _pairs(s))
    context = Counter(v for s in sentences for v, _ in _pairs(s))
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _mle_no_end(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(p for s in sentences for p in _pairs(["<s>", *s]))
    context = Counter(v for s in sentences for v in ["<s>", *s])
    return {(v, w): n / context[v] for (v, w), n in pairs.items()}


def _mle_types(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(_marked(sentences))
    followers = Counter(v for v, _ in pairs)
    return {(v, w): n / followers[v] for (v, w), n in pairs.items()}


def _mle_add_one(sentences: list[list[str]]) -> dict[tuple[str, str], float]:
    pairs = Counter(_marked(sentences))
    context = Counter(v for v, _ in _marked(sentences))
    size = len({w for _, w in pairs})
    return {(v, w): (n + 1) / (context[v] + size) for (v, w), n in pairs.items()}


def _mle_nested(sentences: list[list[str]]) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for (v, w), p in bigram_mle(sentences).items():
        nested.setdefault(v, {})[w] = p
    return nested


_WORDS = "the a dog cat bird sees hears small old and".split()


def _draw_sentences(g: torch.Generator, n: int, longest: int, n_words: int) -> list[list[str]]:
    lengths = torch.randint(1, longest + 1, (n,), generator=g).tolist()
    return [
        [_WORDS[i] for i in torch.randint(n_words, (length,), generator=g).tolist()]
        for length in lengths
    ]


def _mle_cases(g: torch.Generator) -> list[Case]:
    cases = [
        Case(
            (_draw_sentences(g, n, longest, n_words),),
            note=say("{n} sentences, {n_words} words", n=n, n_words=n_words),
        )
        for n, longest, n_words in [(5, 7, 3), (11, 5, 7), (3, 13, 5)]
    ]
    return [*cases, Case(([[], ["the", "the"]],), note="an empty sentence, and a doubled word")]


def _contexts_sum_to_one(answer: Callable[..., dict[tuple[str, str], float]]) -> None:
    found = answer([["a", "dog"], ["a", "cat", "sees", "a", "dog"], ["a"]])
    sums: Counter[str] = Counter()
    for (v, _), p in found.items():
        sums[v] += p  # type: ignore[assignment]
    wrong = {v: total for v, total in sums.items() if abs(total - 1) > 1e-6}
    assert not wrong, say(
        "after {a} they sum to {b:.3f}", a=repr(next(iter(wrong))), b=next(iter(wrong.values()))
    )


_BIGRAM_MLE = Exercise(
    id="04.bigram_mle",
    title="Probabilities from counts",
    statement=(
        "Write `bigram_mle(sentences)`: for every pair of neighbouring words (v, w) the share of "
        'the occurrences of v that were followed by w. `"<s>"` stands before each sentence and '
        '`"</s>"` after it, and no pair reaches from one sentence into the next. With '
        '`[["a", "dog"], ["a", "cat"]]` the pair `("<s>", "a")` gets 1, `("a", "dog")` and '
        '`("a", "cat")` get 0.5 each, and `("dog", "</s>")` and `("cat", "</s>")` get 1.'
    ),
    solution=bigram_mle,
    example=Case(([["a", "dog"], ["a", "cat"]],), note="the printed example"),
    cases=_mle_cases,
    properties=[Property("After every word the probabilities sum to 1.", _contexts_sum_to_one)],
    misconceptions=[
        Misconception(
            "joint",
            _mle_joint,
            "You divide by the number of all pairs. That is the probability of *meeting* the pair "
            "(v, w) somewhere in the text. Asked is w **given** v: divide by the pairs that begin "
            "with v.",
        ),
        Misconception(
            "backwards",
            _mle_backwards,
            "You divide by the occurrences of the second word. That answers which word stood "
            "*before* w. The condition is the first word, v.",
        ),
        Misconception(
            "across",
            _mle_across,
            "Pairs such as (`</s>`, `<s>`) appear: your sentences were joined before they were "
            "cut into pairs. Take the pairs of each sentence by itself.",
        ),
        Misconception(
            "joined",
            _mle_joined,
            "Your sentences were joined into one list of words, so the last word of one is "
            "followed by the first of the next. Nobody wrote that pair: mark each sentence with "
            "`<s>` and `</s>`, and take its pairs by itself.",
        ),
        Misconception(
            "one_text",
            _mle_one_text,
            "`<s>` and `</s>` stand once, around all sentences together; between them a pair "
            "reaches from the end of one sentence into the next. Each sentence has its own two "
            "marks.",
        ),
        Misconception(
            "last_words",
            _mle_last_words,
            "The last word of a sentence is counted as a context although no pair begins with it, "
            "so the probabilities after it are too small. With `</s>` behind it, it has a pair; "
            "and `<s>` is missing too.",
        ),
        Misconception(
            "no_marks",
            _mle_no_marks,
            "The pairs with `<s>` and `</s>` are missing. Without them the model cannot say how "
            "a sentence begins, or when it is over.",
        ),
        Misconception(
            "no_end",
            _mle_no_end,
            "A word that ends a sentence is counted as a context, but nothing is counted after "
            "it, so its probabilities sum to less than 1. `</s>` is a word to be predicted like "
            "any other.",
        ),
        Misconception(
            "types",
            _mle_types,
            "You divide by how many *different* words follow v. Each occurrence counts: divide by "
            "how often v was followed by anything.",
        ),
        Misconception(
            "nested",
            _mle_nested,
            "The numbers may be right, but you return a dictionary of dictionaries. Asked is one "
            "dictionary, and its keys are the pairs: `answer[v, w]`.",
        ),
        Misconception(
            "add_one",
            _mle_add_one,
            "These are add-one estimates. Maximum likelihood adds nothing: the relative frequency "
            "alone.",
        ),
    ],
    nudges=[
        "Two tables: how often each pair occurs, and how often each word occurs as the first of "
        "a pair.",
        "Mark a sentence first: `['<s>', *sentence, '</s>']`. Then pair each word with the next.",
        "`itertools.pairwise(words)` gives the pairs; a `Counter` counts them.",
    ],
    success="Every row of your table is the distribution that makes the text most probable.",
    remark=(
        "The context is counted as the first word of a pair, so the probabilities after each "
        "word sum to 1 by construction, and `</s>` is never a context."
    ),
)

# 04.perplexity -----------------------------------------------------------------------------------


def perplexity(probabilities: list[float], n_units: int) -> float:
    """Perplexity of a text per unit: per token, per word, as you count.

    Args:
        probabilities: what the model gave to each token of the text, in order.
        n_units: how many units the same text has.
    Returns:
        The perplexity per unit; infinity where a token had probability 0.
    """
    if min(probabilities) == 0:
        return math.inf
    nats = -sum(math.log(p) for p in probabilities)
    return math.exp(nats / n_units)


def _ppl_per_token(probabilities: list[float], n_units: int) -> float:
    return perplexity(probabilities, len(probabilities))


def _ppl_rescaled(probabilities: list[float], n_units: int) -> float:
    return perplexity(probabilities, len(probabilities)) * len(probabilities) / n_units


def _ppl_mean_of_inverses(probabilities: list[float], n_units: int) -> float:
    if min(probabilities) == 0:
        return math.inf
    return sum(1 / p for p in probabilities) / n_units


def _ppl_inverse_of_mean(probabilities: list[float], n_units: int) -> float:
    return n_units / sum(probabilities)


def _ppl_bases_mixed(probabilities: list[float], n_units: int) -> float:
    if min(probabilities) == 0:
        return math.inf
    bits = -sum(math.log2(p) for p in probabilities)
    return math.exp(bits / n_units)


def _ppl_nats_base_two(probabilities: list[float], n_units: int) -> float:
    if min(probabilities) == 0:
        return math.inf
    return float(2 ** (-sum(math.log(p) for p in probabilities) / n_units))


def _ppl_no_sign(probabilities: list[float], n_units: int) -> float:
    if min(probabilities) == 0:
        return 0.0
    return math.exp(sum(math.log(p) for p in probabilities) / n_units)


def _ppl_cross_entropy(probabilities: list[float], n_units: int) -> float:
    if min(probabilities) == 0:
        return math.inf
    return -sum(math.log(p) for p in probabilities) / n_units


def _ppl_underflow(probabilities: list[float], n_units: int) -> float:
    product = math.prod(probabilities)
    return math.inf if product == 0 else float(product ** (-1 / n_units))


def _ppl_power_of_zero(probabilities: list[float], n_units: int) -> float:
    return float(math.prod(probabilities) ** (-1 / n_units))


def _ppl_power_after_check(probabilities: list[float], n_units: int) -> float:
    return math.inf if 0 in probabilities else _ppl_power_of_zero(probabilities, n_units)


def _ppl_no_root(probabilities: list[float], n_units: int) -> float:
    product = math.prod(probabilities)
    return math.inf if product == 0 else 1 / product


def _ppl_log_of_zero(probabilities: list[float], n_units: int) -> float:
    return math.exp(-sum(math.log(p) for p in probabilities) / n_units)


def _ppl_skips_zeros(probabilities: list[float], n_units: int) -> float:
    return perplexity([p for p in probabilities if p > 0] or [1.0], n_units)


def _ppl_cases(g: torch.Generator) -> list[Case]:
    def draw(n: int) -> list[float]:
        return [round(p, 4) for p in (0.02 + 0.9 * torch.rand(n, generator=g)).tolist()]

    return [
        Case((draw(7), 5), note="7 tokens, 5 words"),
        Case((draw(11), 11), note="11 tokens, counted per token"),
        Case((draw(13), 47), note="13 tokens, 47 characters"),
        Case((draw(2003), 1499), note="2,003 tokens, 1,499 words"),
        Case(([*draw(3), 0.0, 0.5], 5), note="5 tokens, one of probability 0"),
    ]


def _uniform_gives_the_number_of_choices(answer: Callable[..., float]) -> None:
    got = answer([1 / 32] * 17, 17)
    assert abs(got - 32) < 1e-6, say("got {got:.4f}", got=got)


_PERPLEXITY = Exercise(
    id="04.perplexity",
    title="Perplexity per what?",
    statement=(
        "Write `perplexity(probabilities, n_units)`: the perplexity of a text per unit, from the "
        "probabilities that a model gave to its tokens. Units need not be tokens. Tokens with the "
        "probabilities `[0.5, 0.25, 0.125]` have perplexity 4 per token; if they spell 2 words, "
        "it is 8 per word, and if they spell 6 characters, 2 per character. A probability of 0 "
        "makes it infinite."
    ),
    solution=perplexity,
    example=Case(([0.5, 0.25, 0.125], 2), note="the printed example, per word"),
    cases=_ppl_cases,
    properties=[
        Property(
            "Guessing evenly among 32 tokens has perplexity 32 per token.",
            _uniform_gives_the_number_of_choices,
        )
    ],
    misconceptions=[
        Misconception(
            "per_token",
            _ppl_per_token,
            "This is the perplexity per **token**, whatever n_units is. The surprise of the whole "
            "text is shared among n_units units.",
        ),
        Misconception(
            "rescaled",
            _ppl_rescaled,
            "You scale the perplexity itself. Surprise adds up, perplexity multiplies: divide the "
            "logarithm by n_units, then exponentiate. (Per token it would have to be *raised to "
            "the power* of tokens per unit.)",
        ),
        Misconception(
            "mean_of_inverses",
            _ppl_mean_of_inverses,
            "You average 1/p. Perplexity is the *geometric* mean of 1/p: average the logarithms.",
        ),
        Misconception(
            "inverse_of_mean",
            _ppl_inverse_of_mean,
            "You average the probabilities before inverting, and so one confident token can hide "
            "many bad ones. Average the logarithms.",
        ),
        Misconception(
            "bases_mixed",
            _ppl_bases_mixed,
            "Bits went into `exp`. Bits belong to powers of 2, nats to powers of e. With one base "
            "throughout, the base cancels.",
        ),
        Misconception(
            "nats_base_two",
            _ppl_nats_base_two,
            "Nats were raised as powers of 2. `math.log` gives nats: undo it with `math.exp`.",
        ),
        Misconception(
            "no_sign",
            _ppl_no_sign,
            "This is the mean probability (the geometric one), below 1. Perplexity is its "
            "inverse: mind the minus sign.",
        ),
        Misconception(
            "cross_entropy",
            _ppl_cross_entropy,
            "This is the cross-entropy in nats. Perplexity is its exponential.",
        ),
        Misconception(
            "underflow",
            _ppl_underflow,
            "Right for short texts. A product of two thousand probabilities is smaller than any "
            "number the computer has, becomes 0, and you report infinity. Add logarithms instead.",
        ),
        Misconception(
            "power_of_zero",
            _ppl_power_of_zero,
            "Right for short texts. The product of two thousand probabilities comes out as 0, and "
            "to divide by it (1 / product, or a negative power) is an error. Add logarithms, and "
            "ask about a true 0 first.",
        ),
        Misconception(
            "power_after_check",
            _ppl_power_after_check,
            "No probability is 0 in the long text, and yet their product comes out as 0: it is "
            "smaller than any number the computer has. Add logarithms instead of multiplying.",
        ),
        Misconception(
            "no_root",
            _ppl_no_root,
            "1 / product is what the **whole text** costs: it grows with its length, until the "
            "product comes out as 0. Per unit, take the root: divide the sum of the logarithms by "
            "n_units.",
        ),
        Misconception(
            "log_of_zero",
            _ppl_log_of_zero,
            "Right until a probability is 0: `math.log(0)` raises an error. What happened was "
            "ruled out, so the surprise is infinite: return `math.inf`.",
        ),
        Misconception(
            "skips_zeros",
            _ppl_skips_zeros,
            "Tokens of probability 0 were left out. Such a model has ruled out what happened: "
            "nothing it does elsewhere can make up for that, so the perplexity is infinite.",
        ),
    ],
    nudges=[
        "Three steps: surprise of each token, surprise per unit, exponential.",
        "How many nats does the whole text cost? Share them among n_units, then `math.exp`.",
        "`math.log(0)` raises an error: answer before you get there.",
    ],
    success="Now a perplexity says what it counts, and can be converted.",
    remark=(
        "Total nats do not depend on the unit; only the divisor does. Never compare two "
        "perplexities without asking: per what?"
    ),
)

# 04.good_turing ----------------------------------------------------------------------------------


def good_turing(counts: list[int]) -> tuple[float, dict[int, float]]:
    """Good and Turing's estimates from how often each kind was seen.

    Args:
        counts: one positive count for each kind (each different n-gram) seen.
    Returns:
        The probability that the next observation is of a kind never seen; and
        for each count r that occurs its adjusted count r*. Where no kind was
        seen r + 1 times, r stays as it is.
    """
    n_kinds = Counter(counts)
    p_unseen = n_kinds[1] / sum(counts)
    adjusted = {
        r: (r + 1) * n_kinds[r + 1] / n_kinds[r] if n_kinds[r + 1] else float(r)
        for r in sorted(n_kinds)
    }
    return p_unseen, adjusted


def _turing(
    counts: list[int], adjust: Callable[[Counter[int], int], float]
) -> tuple[float, dict[int, float]]:
    n = Counter(counts)
    rows = {r: adjust(n, r) if n[r + 1] else float(r) for r in sorted(n)}
    return n[1] / sum(counts), rows


def _gt_no_factor(counts: list[int]) -> tuple[float, dict[int, float]]:
    return _turing(counts, lambda n, r: n[r + 1] / n[r])


def _gt_factor_r(counts: list[int]) -> tuple[float, dict[int, float]]:
    return _turing(counts, lambda n, r: r * n[r + 1] / n[r])


def _gt_inverted(counts: list[int]) -> tuple[float, dict[int, float]]:
    return _turing(counts, lambda n, r: (r + 1) * n[r] / n[r + 1])


def _gt_tokens(counts: list[int]) -> tuple[float, dict[int, float]]:
    return _turing(counts, lambda n, r: (r + 1) * (r + 1) * n[r + 1] / (r * n[r]))


def _gt_zero(counts: list[int]) -> tuple[float, dict[int, float]]:
    n = Counter(counts)
    return n[1] / sum(counts), {r: (r + 1) * n[r + 1] / n[r] for r in sorted(n)}


def _gt_own_frequency(counts: list[int]) -> tuple[float, dict[int, float]]:
    n = Counter(counts)
    p, adjusted = good_turing(counts)
    return p, {r: a if n[r + 1] else float(n[r]) for r, a in adjusted.items()}


def _gt_own_in_ratio(counts: list[int]) -> tuple[float, dict[int, float]]:
    n = Counter(counts)
    rows = {r: (r + 1) * (n[r + 1] or n[r]) / n[r] for r in sorted(n)}
    return n[1] / sum(counts), rows


def _gt_types(counts: list[int]) -> tuple[float, dict[int, float]]:
    p, adjusted = good_turing(counts)
    return p * sum(counts) / len(counts), adjusted


def _gt_no_mass(counts: list[int]) -> tuple[float, dict[int, float]]:
    n = Counter(counts)
    return float(n[1]), good_turing(counts)[1]


def _gt_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n_kinds, spread in [(41, 0.6), (97, 0.45), (29, 0.7)]:
        u = torch.rand(n_kinds, generator=g).clamp(min=1e-4)
        counts = (1 + torch.log(u) / math.log(spread)).floor().long()
        cases.append(
            Case(
                (counts.tolist(),),
                note=say("{n_kinds} kinds, the largest {a}", n_kinds=n_kinds, a=counts.max()),
            )
        )
    return [
        *cases,
        Case(([2, 2, 4, 7],), note="no kind was seen once"),
        Case(([1, 1, 1],), note="every kind was seen once"),
    ]


def _adjusted_counts_keep_the_total(answer: Callable[..., tuple[float, dict[int, float]]]) -> None:
    counts = [1] * 11 + [2] * 5 + [3] * 3 + [4] * 2 + [5]
    _, adjusted = answer(counts)
    below = sum(adjusted[r] for r in counts if r < 5)
    expected = sum(counts) - 11
    assert abs(below - expected) < 1e-6, say(
        "they sum to {below:.2f}, expected {expected}", below=below, expected=expected
    )


_GOOD_TURING = Exercise(
    id="04.good_turing",
    title="The next one will be new",
    statement=(
        "Write `good_turing(counts)`. `counts` holds one number for each kind that was seen. "
        "Return the probability that the next observation is of a new kind, $N_1/N$, and a "
        "dictionary of the adjusted counts $r^* = (r+1)\\,N_{r+1}/N_r$; where $N_{r+1} = 0$, "
        "keep r. With `[1, 1, 1, 2, 2, 3]` the six kinds were seen ten times in all: the "
        "probability of a new kind is 0.3, and the adjusted counts are "
        "`{1: 1.3333, 2: 1.5, 3: 3.0}`."
    ),
    solution=good_turing,
    example=Case(([1, 1, 1, 2, 2, 3],), note="the printed example"),
    cases=_gt_cases,
    properties=[
        Property(
            "What the adjusted counts below the largest add up to is what is left for the kinds "
            "that were seen.",
            _adjusted_counts_keep_the_total,
        )
    ],
    misconceptions=[
        Misconception(
            "no_factor",
            _gt_no_factor,
            "The factor r + 1 is missing. Every kind that is seen r + 1 times in the whole text "
            "was seen r times in the text without one of its r + 1 occurrences: there are r + 1 "
            "ways to leave one out.",
        ),
        Misconception(
            "factor_r",
            _gt_factor_r,
            "Your factor is r. Check it with r = 0: the unseen kinds would get nothing. It is "
            "r + 1.",
        ),
        Misconception(
            "inverted",
            _gt_inverted,
            "The ratio is upside down: N_{r+1} belongs above, N_r below. Adjusted counts should "
            "come out smaller than r, for most r.",
        ),
        Misconception(
            "tokens",
            _gt_tokens,
            "You count observations, r · N_r, where kinds are meant: N_r is how many different "
            "kinds were seen r times.",
        ),
        Misconception(
            "zero",
            _gt_zero,
            "The largest counts become 0, because nothing was seen r + 1 times. Where N_{r+1} is "
            "0 the formula has no data: keep r.",
        ),
        Misconception(
            "own_frequency",
            _gt_own_frequency,
            "Where no kind was seen r + 1 times you return N_r. That is a number of kinds; what is "
            "kept is the count r itself.",
        ),
        Misconception(
            "own_in_ratio",
            _gt_own_in_ratio,
            "Where N_{r+1} is 0 you put N_r in its place, so those counts come out as r + 1: more "
            "than was seen. Without N_{r+1} there is nothing to correct with; keep r.",
        ),
        Misconception(
            "types",
            _gt_types,
            "You divide N_1 by the number of kinds. The next observation is one more like the N "
            "seen so far: divide by the sum of the counts.",
        ),
        Misconception(
            "no_mass",
            _gt_no_mass,
            "N_1 is a number of kinds. Divide it by N, the sum of the counts, to get a "
            "probability.",
        ),
    ],
    nudges=[
        "First the frequencies of frequencies: N_r, how many kinds have the count r. "
        "`Counter(counts)` is all of it.",
        "N is the sum of the counts, not how many there are.",
        "Look up N_{r+1} in the Counter: a missing one is 0.",
    ],
    success="What was seen once tells how much there is that was not seen at all.",
    remark=(
        "`Counter(counts)` counts counts: the frequencies of frequencies. Its missing entries "
        "are 0, so no special case is needed for N_1."
    ),
)

# 04.kneser_ney -----------------------------------------------------------------------------------


def kneser_ney(tokens: list[str], discount: float, previous: str, word: str) -> float:
    """Interpolated Kneser–Ney probability of a word after another.

    Args:
        tokens: the training text, at least two words.
        discount: D, taken from every count of a pair, between 0 and 1.
        previous: the word before; may be one that nothing was seen after.
        word: the word to be predicted.
    Returns:
        p(word | previous); after an unknown context, the continuation probability.
    """
    pairs = Counter(pairwise(tokens))
    continuation = sum(w == word for _, w in pairs) / len(pairs)
    total = sum(n for (v, _), n in pairs.items() if v == previous)
    if total == 0:
        return continuation
    followers = sum(v == previous for v, _ in pairs)
    seen = max(pairs[previous, word] - discount, 0) / total
    return seen + discount * followers / total * continuation


def _kn(
    tokens: list[str],
    discount: float,
    previous: str,
    word: str,
    *,
    lower: Callable[[Counter[tuple[str, str]], str], float] | None = None,
    kinds: Callable[[Counter[tuple[str, str]], str], float] | None = None,
    backoff: bool = False,
) -> float:
    pairs = Counter(_pairs(tokens))
    below = lower(pairs, word) if lower else sum(w == word for _, w in pairs) / max(1, len(pairs))
    total = sum(n for (v, _), n in pairs.items() if v == previous)
    if total == 0:
        return below
    followers = kinds(pairs, previous) if kinds else sum(v == previous for v, _ in pairs)
    count = pairs[previous, word]
    seen = max(count - discount, 0) / total
    if backoff and count:
        return seen
    return seen + discount * followers / total * below


def _kn_unigram(tokens: list[str], discount: float, previous: str, word: str) -> float:
    return _kn(
        tokens, discount, previous, word, lower=lambda pairs, w: tokens.count(w) / len(tokens)
    )


def _kn_followers(tokens: list[str], discount: float, previous: str, word: str) -> float:
    def by_followers(pairs: Counter[tuple[str, str]], w: str) -> float:
        return sum(v == w for v, _ in pairs) / len(pairs)

    return _kn(tokens, discount, previous, word, lower=by_followers)


def _kn_vocabulary(tokens: list[str], discount: float, previous: str, word: str) -> float:
    def over_words(pairs: Counter[tuple[str, str]], w: str) -> float:
        return sum(u == w for _, u in pairs) / len(set(tokens))

    return _kn(tokens, discount, previous, word, lower=over_words)


def _kn_discount_twice(tokens: list[str], discount: float, previous: str, word: str) -> float:
    def ones(pairs: Counter[tuple[str, str]], v: str) -> float:
        return 1.0

    return _kn(tokens, discount, previous, word, kinds=ones)


def _kn_all_followers(tokens: list[str], discount: float, previous: str, word: str) -> float:
    def every(pairs: Counter[tuple[str, str]], v: str) -> float:
        return sum(n for (u, _), n in pairs.items() if u == v)

    return _kn(tokens, discount, previous, word, kinds=every)


def _kn_backoff(tokens: list[str], discount: float, previous: str, word: str) -> float:
    return _kn(tokens, discount, previous, word, backoff=True)


def _kn_unknown_zero(tokens: list[str], discount: float, previous: str, word: str) -> float:
    if previous not in tokens[:-1]:
        return 0.0
    return kneser_ney(tokens, discount, previous, word)


def _kn_negative(tokens: list[str], discount: float, previous: str, word: str) -> float:
    found = kneser_ney(tokens, discount, previous, word)
    pairs = Counter(_pairs(tokens))
    total = sum(n for (v, _), n in pairs.items() if v == previous)
    return found - (discount / total if total and not pairs[previous, word] else 0)


def _kn_last_token(tokens: list[str], discount: float, previous: str, word: str) -> float:
    pairs = Counter(_pairs(tokens))
    below = sum(w == word for _, w in pairs) / len(pairs)
    total = tokens.count(previous)
    if total == 0:
        return below
    followers = sum(v == previous for v, _ in pairs)
    return max(pairs[previous, word] - discount, 0) / total + discount * followers / total * below


def _kn_divides_by_zero(tokens: list[str], discount: float, previous: str, word: str) -> float:
    pairs = Counter(_pairs(tokens))
    total = sum(n for (v, _), n in pairs.items() if v == previous)
    seen = max(pairs[previous, word] - discount, 0) / total
    followers = sum(v == previous for v, _ in pairs)
    below = sum(w == word for _, w in pairs) / len(pairs)
    return seen + discount * followers / total * below


_KN_TEXT = "a rose is a rose is a tulip".split()


def _kn_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n_tokens, n_words in [(31, 5), (53, 7), (23, 3)]:
        tokens = [_WORDS[i] for i in torch.randint(n_words, (n_tokens,), generator=g).tolist()]
        discount = round(float(0.3 + 0.6 * torch.rand(1, generator=g)), 2)
        v, w = (tokens[int(torch.randint(n_tokens - 1, (1,), generator=g))] for _ in range(2))
        cases.append(
            Case(
                (tokens, discount, v, w),
                note=say("{n_tokens} tokens, D = {discount}", n_tokens=n_tokens, discount=discount),
            )
        )
    tokens = [*cases[0].args[0], "once"]
    seen = Case((tokens, 0.75, tokens[2], tokens[3]), note="a pair that was seen, D = 0.75")
    last = Case((tokens, 0.75, "once", tokens[0]), note="nothing was seen after the context")
    new = Case((tokens, 0.5, tokens[2], "once"), note="a pair that was probably not seen")
    poem = Case((_KN_TEXT, 0.75, "is", "rose"), note="`rose` never came after `is`")
    return [*cases, seen, last, new, poem]


def _it_sums_to_one(answer: Callable[..., float]) -> None:
    tokens = "the dog sees the cat and the cat sees a dog".split()
    for previous in ("the", "sees", "nobody"):
        total = sum(answer(tokens, 0.6, previous, w) for w in set(tokens))
        assert abs(total - 1) < 1e-6, say(
            "after {previous} the probabilities sum to {total:.4f}",
            previous=repr(previous),
            total=total,
        )


_KNESER_NEY = Exercise(
    id="04.kneser_ney",
    title="Kneser–Ney for two words",
    statement=(
        "Write `kneser_ney(tokens, discount, previous, word)`, the interpolated Kneser–Ney "
        "probability of `word` after `previous`:\n\n"
        "$$p(w \\mid v) = \\frac{\\max(c(v, w) - D, 0)}{\\sum_u c(v, u)} + "
        "\\frac{D \\cdot N_{1+}(v\\,\\cdot)}{\\sum_u c(v, u)} \\cdot "
        "\\frac{N_{1+}(\\cdot\\,w)}{N_{1+}(\\cdot\\,\\cdot)}$$\n\n"
        "Here $N_{1+}(v\\,\\cdot)$ is the number of different words seen after v, "
        "$N_{1+}(\\cdot\\,w)$ of different words seen before w, and $N_{1+}(\\cdot\\,\\cdot)$ of "
        "different pairs. Where nothing was seen after v, the last fraction alone is the answer. "
        "In `a rose is a rose is a tulip`, with D = 0.75, the probability of `rose` after `a` is "
        "1.25/3 + (0.75 · 2/3) · 1/4 = 0.5417."
    ),
    solution=kneser_ney,
    example=Case((_KN_TEXT, 0.75, "a", "rose"), note="the printed example"),
    cases=_kn_cases,
    properties=[Property("After every context the probabilities sum to 1.", _it_sums_to_one)],
    misconceptions=[
        Misconception(
            "unigram",
            _kn_unigram,
            "Your second term uses how *often* the word occurs. That is absolute discounting. "
            "Kneser and Ney ask after how many *different* words it occurs.",
        ),
        Misconception(
            "followers",
            _kn_followers,
            "You count what comes *after* the word. A word that fits many places is one that has "
            "come after many different words: count its left neighbours.",
        ),
        Misconception(
            "vocabulary",
            _kn_vocabulary,
            "You divide the left neighbours by the number of words. Over all words the left "
            "neighbours add up to the number of different **pairs**: divide by that, and they "
            "sum to 1.",
        ),
        Misconception(
            "one_discount",
            _kn_discount_twice,
            "Only one D is given back. D was taken from *each* of the different words seen after "
            "the context: multiply by how many there are.",
        ),
        Misconception(
            "all_followers",
            _kn_all_followers,
            "You give back D for every occurrence after the context. It was taken once from each "
            "*different* follower.",
        ),
        Misconception(
            "backoff",
            _kn_backoff,
            "The second term is missing where the pair was seen. Interpolation adds it always; "
            "only back-off keeps it for unseen pairs (and then needs another normalisation).",
        ),
        Misconception(
            "unknown_zero",
            _kn_unknown_zero,
            "After an unknown context you return 0. Nothing is known about the context, but "
            "something about the word: return its continuation probability.",
        ),
        Misconception(
            "last_token",
            _kn_last_token,
            "You count how often the context *occurs*. The last word of the text occurs once more "
            "than anything follows it. Count the pairs that begin with the context.",
        ),
        Misconception(
            "divides_by_zero",
            _kn_divides_by_zero,
            "After a context that nothing follows you divide by 0. There the continuation "
            "probability alone is the answer: return it before dividing.",
        ),
        Misconception(
            "negative",
            _kn_negative,
            "A count of 0 was discounted too and became negative. `max(count - D, 0)`: nothing "
            "can be taken from what is not there.",
        ),
    ],
    nudges=[
        "Count the pairs once: `Counter(pairwise(tokens))`. All four quantities are "
        "sums over its items.",
        "Different pairs are the *keys* of the Counter, occurrences its *values*.",
        "`sum(w == word for _, w in pairs)` counts the different left neighbours of word.",
    ],
    success="This is the model that neural networks had to beat.",
    remark=(
        "Summed over all words the first term leaves out D · N₁₊(v ·) of the total, and the "
        "second puts exactly that back."
    ),
)

EXERCISES = [_BIGRAM_MLE, _PERPLEXITY, _GOOD_TURING, _KNESER_NEY]

QUIZ = [
    Question(
        text="A trigram model without smoothing meets one trigram it has never seen, in a test "
        "text of a million words. What is its perplexity on that text?",
        choices=[
            "Hardly changed: one word in a million",
            "Infinite",
            "Zero for that word, so a little lower",
        ],
        answer=1,
        why=[
            "The mean of a million logarithms is taken, and one of them is minus infinity.",
            "It gave probability 0 to something that happened. −log 0 is infinite, and so is a "
            "mean that contains it.",
            "A probability of 0 is the worst that can happen, not the best.",
        ],
    ),
    Question(
        text="The token *Francisco* is frequent in a text, but comes only after *San*. What should "
        "a model say after a word that it has never seen before?",
        choices=[
            "*Francisco* is likely: it is frequent",
            "*Francisco* is unlikely: it has one left neighbour",
            "It cannot say anything",
        ],
        answer=1,
        why=[
            "Its frequency is explained by *San* already. After any other word it never came.",
            "A shorter model is asked where the longer one knows nothing. There the number of "
            "different left neighbours counts: Kneser and Ney's idea.",
            "Then every word would get probability 0. The context is new, but the words are not.",
        ],
    ),
    Question(
        text="A Chinese text costs a model 6 bits per character; each character takes 3 bytes in "
        "UTF-8. An English text costs the same model 1.8 bits per character, of one byte each. "
        "Which does it compress better, per byte?",
        choices=["The English one", "The Chinese one", "The two are about equal"],
        answer=2,
        why=[
            "1.8 bits per byte. Now convert the Chinese number to bytes as well.",
            "6 bits per character are 2 bits per byte: a little worse, not better.",
            "2.0 against 1.8 bits per byte. Per character they seem far apart, because one "
            "Chinese character says more than one English letter.",
        ],
    ),
    Question(
        text="You guess the letters of a text and need one guess four times in five. Shannon's "
        "upper bound from your guesses is 1.2 bits. What does that say about the entropy of "
        "English?",
        choices=[
            "It is 1.2 bits per letter",
            "It is at most about 1.2 bits per letter of such text, as far as so short a sample "
            "tells",
            "It is at least 1.2 bits, because you are not perfect",
        ],
        answer=1,
        why=[
            "You may have missed what a better guesser would have seen: the entropy can be lower.",
            "The number of guesses, with your way of guessing, is as good as the text itself. So "
            "the text cannot hold more information than the numbers do.",
            "Your mistakes make the bound larger. What lies above the entropy is no lower bound.",
        ],
    ),
]
