"""Exercises and quiz of chapter 5: word vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import say

# 05.ppmi -----------------------------------------------------------------------------------------


def ppmi(counts: Tensor) -> Tensor:
    """Positive pointwise mutual information, in nats.

    Args:
        counts: (V, V) how often context c (column) stood right after word w (row);
            not symmetric. Every row and every column has a count above 0.
    Returns:
        (V, V): max(0, log of p(w, c) over p(w) p(c)); 0 where nothing was counted.
    """
    total = counts.sum()
    expected = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0, keepdim=True) / total
    return torch.log(counts / expected).clamp(min=0)


def _ppmi_unclipped(counts: Tensor) -> Tensor:
    expected = counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True) / counts.sum()
    pmi = torch.log(counts / expected)
    return torch.where(counts > 0, pmi, torch.zeros_like(pmi))


def _ppmi_bits(counts: Tensor) -> Tensor:
    expected = counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True) / counts.sum()
    return torch.log2(counts / expected).clamp(min=0)


def _ppmi_rows_twice(counts: Tensor) -> Tensor:
    rows = counts.sum(1)
    return torch.log(counts * counts.sum() / (rows[:, None] * rows[None])).clamp(min=0)


def _ppmi_one_marginal(counts: Tensor) -> Tensor:
    return torch.log(counts / counts.sum(1, keepdim=True) * len(counts)).clamp(min=0)


def _ppmi_no_total(counts: Tensor) -> Tensor:
    expected = counts.sum(1, keepdim=True) * counts.sum(0, keepdim=True)
    return torch.log(counts / expected).clamp(min=0)


def _ppmi_add_one(counts: Tensor) -> Tensor:
    return ppmi(counts + 1)


def _ppmi_absolute(counts: Tensor) -> Tensor:
    return _ppmi_unclipped(counts).abs()


def _ppmi_cases(g: torch.Generator) -> list[Case]:
    def draw(n: int) -> Tensor:
        drawn = torch.randint(0, 9, (n, n), generator=g).double()
        keep = torch.rand(n, n, generator=g) < 0.7
        return drawn * keep + torch.eye(n).double() * 2

    cases = [Case((draw(n),), note=say("{n} words", n=n)) for n in (3, 7, 13)]
    even = torch.outer(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([3.0, 1.0, 2.0])).double()
    return [*cases, Case((even,), note="words and contexts independent")]


def _ppmi_scale_free(answer: Callable[[Tensor], Tensor]) -> None:
    counts = torch.tensor([[4.0, 0.0, 1.0], [1.0, 3.0, 0.0], [2.0, 2.0, 5.0]]).double()
    gap = (answer(7 * counts) - answer(counts)).abs().max()
    assert gap < 1e-6, say("seven times the text changed an entry by {gap:.3f}", gap=gap)


_PPMI = Exercise(
    id="05.ppmi",
    title="Positive pointwise mutual information",
    statement=(
        "Write `ppmi(counts)`: for every word w (row) and context c (column) the larger of 0 and "
        "$\\log \\frac{p(w, c)}{p(w)\\,p(c)}$, with the natural logarithm. Probabilities are "
        "shares of the counts: $p(w)$ of a row, $p(c)$ of a column. Where nothing was counted the "
        "answer is 0. For `[[2, 0], [1, 1]]` it is `[[0.2877, 0], [0, 0.6931]]`."
    ),
    solution=ppmi,
    example=Case((torch.tensor([[2.0, 0.0], [1.0, 1.0]]).double(),), note="the printed example"),
    cases=_ppmi_cases,
    properties=[Property("A text repeated seven times has the same PPMI.", _ppmi_scale_free)],
    misconceptions=[
        Misconception(
            "unclipped",
            _ppmi_unclipped,
            "Negative entries remain. The first P of PPMI stands for *positive*: what comes "
            "together less often than by chance is set to 0.",
        ),
        Misconception(
            "bits",
            _ppmi_bits,
            "Every entry is 1.44 times too large: this is in bits. The exercise asks for the "
            "natural logarithm.",
        ),
        Misconception(
            "rows_twice",
            _ppmi_rows_twice,
            "The context's probability is taken from the rows. How often c occurs *as a context* "
            "is the sum of its column; the matrix is not symmetric.",
        ),
        Misconception(
            "one_marginal",
            _ppmi_one_marginal,
            "You divide by the frequency of the word alone. Then every frequent context looks "
            "like a close companion. Divide by what chance expects: p(w) times p(c).",
        ),
        Misconception(
            "no_total",
            _ppmi_no_total,
            "Everything comes out 0, or nearly. Counts were put where probabilities belong: the "
            "ratio needs the total number of pairs once in the numerator.",
        ),
        Misconception(
            "add_one",
            _ppmi_add_one,
            "The counts were raised by one, perhaps to avoid log 0. That changes all marginals. "
            "log 0 is minus infinity, and clipping at 0 deals with it.",
        ),
        Misconception(
            "absolute",
            _ppmi_absolute,
            "Negative values became positive ones of the same size. Words that avoid each other "
            "would look like friends: the larger of the value and 0 is wanted.",
        ),
    ],
    nudges=[
        "Three sums: of each row, of each column, of everything. `keepdim=True` keeps them in "
        "shapes that broadcast against the matrix.",
        "What chance expects for a cell is row sum × column sum / total. Take the logarithm of "
        "the count over that, and `clamp` it at 0.",
    ],
    success="Two marginals and one logarithm turn counts into surprise.",
    remark="log 0 is −∞, and `clamp(min=0)` makes a clean 0 of it.",
    rtol=1e-4,
    atol=1e-6,
)

# 05.sgns_pair ------------------------------------------------------------------------------------


def sgns_pair(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Loss of one pair of skip-gram with negative sampling, and its gradients.

    Args:
        w: (D,) vector of the centre word.
        c: (D,) vector of the context word that was seen.
        negatives: (K, D) context vectors of K noise words.
    Returns:
        The loss −log σ(w·c) − Σ log σ(−w·n), in nats; and its gradients with
        respect to w (D,), c (D,) and negatives (K, D). No autograd needed.
    """
    seen, noise = torch.sigmoid(w @ c), torch.sigmoid(negatives @ w)
    loss = -torch.log(seen) - torch.log(1 - noise).sum()
    to_w = (seen - 1) * c + noise @ negatives
    return loss, to_w, (seen - 1) * w, noise[:, None] * w


def _sgns_uphill(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    loss, *slopes = sgns_pair(w, c, negatives)
    return (loss, *(-s for s in slopes))


def _sgns_mean(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    seen, noise = torch.sigmoid(w @ c), torch.sigmoid(negatives @ w) / len(negatives)
    loss = -torch.log(seen) - torch.log(1 - torch.sigmoid(negatives @ w)).mean()
    return loss, (seen - 1) * c + noise @ negatives, (seen - 1) * w, noise[:, None] * w


def _sgns_no_noise_for_w(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    loss, _, to_c, to_n = sgns_pair(w, c, negatives)
    return loss, (torch.sigmoid(w @ c) - 1) * c, to_c, to_n


def _sgns_same_label(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    seen, noise = torch.sigmoid(w @ c), torch.sigmoid(negatives @ w)
    loss = -torch.log(seen) - torch.log(noise).sum()
    return loss, (seen - 1) * c + (noise - 1) @ negatives, (seen - 1) * w, (noise - 1)[:, None] * w


def _sgns_squared(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    loss, *_ = sgns_pair(w, c, negatives)
    seen, noise = torch.sigmoid(w @ c), torch.sigmoid(negatives @ w)
    a, b = (seen - 1) * seen * (1 - seen), noise * noise * (1 - noise)
    return loss, a * c + b @ negatives, a * w, b[:, None] * w


def _sgns_own_vectors(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    seen, noise = torch.sigmoid(w @ c), torch.sigmoid(negatives @ w)
    loss = -torch.log(seen) - torch.log(1 - noise).sum()
    return loss, (seen - 1) * w + noise.sum() * w, (seen - 1) * c, noise[:, None] * negatives


def _sgns_softmax(w: Tensor, c: Tensor, negatives: Tensor) -> tuple[Tensor, ...]:
    every = torch.cat([c[None], negatives])
    p = torch.softmax(every @ w, 0)
    error = p.clone()
    error[0] -= 1
    return -torch.log(p[0]), error @ every, error[0] * w, error[1:, None] * w


def _sgns_cases(g: torch.Generator) -> list[Case]:
    def draw(d: int, k: int) -> Case:
        parts = [torch.randn(*shape, generator=g).double() for shape in ((d,), (d,), (k, d))]
        return Case(tuple(parts), note=f"D={d}, K={k}")

    return [draw(3, 5), draw(7, 2), draw(5, 11), draw(2, 1)]


def _sgns_agrees(answer: Callable[..., tuple[Tensor, ...]]) -> None:
    g = torch.Generator().manual_seed(3)
    w, c, n = (torch.randn(*s, generator=g).double() for s in ((4,), (4,), (3, 4)))
    slope, step = answer(w, c, n)[1], 1e-5
    for i in range(4):
        e = torch.zeros(4).double()
        e[i] = step
        measured = (answer(w + e, c, n)[0] - answer(w - e, c, n)[0]) / (2 * step)
        gap = abs(float(measured - slope[i]))
        assert gap < 1e-5, say("component {i} of the gradient is off by {gap:.4f}", i=i, gap=gap)


_SGNS = Exercise(
    id="05.sgns_pair",
    title="One pair, its loss and its gradients",
    statement=(
        "Write `sgns_pair(w, c, negatives)`: the loss "
        "$-\\log \\sigma(w \\cdot c) - \\sum_i \\log \\sigma(-w \\cdot n_i)$ and its gradients "
        "with respect to `w`, `c` and `negatives`, without autograd. With `w = [1, 0]`, "
        "`c = [0, 1]` and one negative `[1, 0]` the loss is 2.0064; the gradients are "
        "`[0.7311, -0.5]`, `[-0.5, 0]` and `[[0.7311, 0]]`."
    ),
    solution=sgns_pair,
    example=Case(
        (
            torch.tensor([1.0, 0.0]).double(),
            torch.tensor([0.0, 1.0]).double(),
            torch.tensor([[1.0, 0.0]]).double(),
        ),
        note="the printed example",
    ),
    cases=_sgns_cases,
    properties=[Property("The gradient of w agrees with finite differences.", _sgns_agrees)],
    misconceptions=[
        Misconception(
            "uphill",
            _sgns_uphill,
            "All gradients have the wrong sign: these are of the log-likelihood, which is to grow. "
            "The loss is its negative.",
        ),
        Misconception(
            "mean",
            _sgns_mean,
            "The negatives were averaged. In the formula they are *added*: with K of them the "
            "noise weighs K times as much as the pair that was seen.",
        ),
        Misconception(
            "no_noise_for_w",
            _sgns_no_noise_for_w,
            "The gradient of w holds only the pair that was seen. w stands in every term of the "
            "loss: each negative pushes it too.",
        ),
        Misconception(
            "same_label",
            _sgns_same_label,
            "The negatives are pulled towards w as if they had been seen. Their terms are "
            "log σ(**−**w·n): the label is 0.",
        ),
        Misconception(
            "squared",
            _sgns_squared,
            "Each gradient carries a factor σ(1 − σ) too many: that is the slope of a squared "
            "error. Under a logarithm that factor cancels; the error σ − label is left.",
        ),
        Misconception(
            "own_vectors",
            _sgns_own_vectors,
            "Each vector was multiplied with itself. The derivative of w·c with respect to w "
            "is **c**, and with respect to c it is w.",
        ),
        Misconception(
            "softmax",
            _sgns_softmax,
            "This is a softmax over the pair and the negatives: one choice out of 1 + K. Negative "
            "sampling asks 1 + K separate yes-or-no questions, each with its own σ.",
        ),
    ],
    nudges=[
        "Look at one term. The derivative of −log σ(x) is σ(x) − 1; of −log σ(−x) it is σ(x).",
        "Both are *σ(score) − label*. The chain rule then multiplies with the other vector of the "
        "dot product; w collects such products from all 1 + K terms.",
    ],
    success="Error times the other vector: that is all of Word2Vec's learning.",
    remark="`noise @ negatives` adds the K vectors, each weighted with its error.",
    rtol=1e-4,
    atol=1e-6,
)

# 05.analogy --------------------------------------------------------------------------------------


def analogy(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    """The three best answers to "a is to b as c is to …".

    Args:
        vectors: (V, D) one row for each word; lengths differ.
        a, b, c: rows of the three given words.
    Returns:
        The rows of the three words, best first, whose cosine with b − a + c is
        largest. All vectors are brought to length 1 first; a, b, c do not count.
    """
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    score = unit @ (unit[b] - unit[a] + unit[c])
    score[[a, b, c]] = -torch.inf
    return score.topk(3).indices.tolist()


def _analogy_unexcluded(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    return (unit @ (unit[b] - unit[a] + unit[c])).topk(3).indices.tolist()


def _analogy_backwards(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    return analogy(vectors, b, a, c)


def _analogy_raw(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    score = vectors @ (vectors[b] - vectors[a] + vectors[c])
    score[[a, b, c]] = -torch.inf
    return score.topk(3).indices.tolist()


def _analogy_late_unit(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    score = unit @ (vectors[b] - vectors[a] + vectors[c])
    score[[a, b, c]] = -torch.inf
    return score.topk(3).indices.tolist()


def _analogy_worst(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    score = -(unit @ (unit[b] - unit[a] + unit[c]))
    score[[a, b, c]] = -torch.inf
    return score.topk(3).indices.tolist()


def _analogy_only_c(vectors: Tensor, a: int, b: int, c: int) -> list[int]:
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    score = unit @ (unit[b] - unit[a] + unit[c])
    score[c] = -torch.inf
    return score.topk(3).indices.tolist()


def _analogy_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n, d in ((23, 3), (31, 5), (17, 4), (29, 3), (37, 7), (19, 3)):
        table = torch.randn(n, d, generator=g).double()
        table *= torch.rand(n, 1, generator=g).double() * 3 + 0.3
        a, b, c = torch.randperm(n, generator=g)[:3].tolist()
        cases.append(Case((table, a, b, c), note=say("{n} words, D={d}", n=n, d=d)))
    return cases


_FIVE = torch.tensor([[1.0, 0.0], [1.0, 1.0], [3.0, 0.3], [2.0, 2.6], [0.0, 1.0], [-1.0, 0.2]])

_ANALOGY = Exercise(
    id="05.analogy",
    title="a is to b as c is to what?",
    statement=(
        "Write `analogy(vectors, a, b, c)`: the rows of the three best answers, best first. Bring "
        "every vector to length 1, add $b - a + c$, and rank all words but the three given ones by "
        "their cosine with it. For the rows `[1,0], [1,1], [3,.3], [2,2.6], [0,1], [-1,.2]` and "
        "a, b, c = 0, 1, 2 the answer is `[3, 4, 5]`."
    ),
    solution=analogy,
    example=Case((_FIVE.double(), 0, 1, 2), note="the printed example"),
    cases=_analogy_cases,
    misconceptions=[
        Misconception(
            "unexcluded",
            _analogy_unexcluded,
            "One of the given words is among the answers. b and c are nearly always closest to "
            "b − a + c; the question is which *other* word comes next.",
        ),
        Misconception(
            "backwards",
            _analogy_backwards,
            "You asked the question backwards: a − b + c. The step from a to b is b − a; take it "
            "from c.",
        ),
        Misconception(
            "raw",
            _analogy_raw,
            "Long vectors win: this ranks by the dot product of the vectors as they come. Bring "
            "every row to length 1 first.",
        ),
        Misconception(
            "late_unit",
            _analogy_late_unit,
            "The candidates have length 1, but b − a + c was added from vectors of their own "
            "lengths, so the longest of the three dominates. Normalise before adding.",
        ),
        Misconception(
            "worst",
            _analogy_worst,
            "These are the words farthest away: the order is upside down. A larger cosine is a "
            "smaller angle.",
        ),
        Misconception(
            "only_c",
            _analogy_only_c,
            "c is left out, but a or b can still be the answer. All three given words do not "
            "count.",
        ),
    ],
    nudges=[
        "Four lines: unit vectors, their sum, one dot product with all words, the three largest.",
        "`vectors.norm(dim=1, keepdim=True)` gives the lengths; set the scores of a, b and c to "
        "−inf before `topk(3)`.",
    ],
    success="The rule of 2013, exclusions included.",
    remark="The length of b − a + c does not matter for the ranking, so it need not be normalised.",
)

# 05.weat -----------------------------------------------------------------------------------------


def weat_effect(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    """Effect size of the word embedding association test.

    Args:
        x, y: (n, D) and (m, D), vectors of the two sets of target words.
        a, b: (k, D) and (l, D), vectors of the two sets of attribute words.
    Returns:
        With s(w) = mean cosine of w with a − mean cosine of w with b: the mean
        of s over x minus its mean over y, divided by the standard deviation of
        s over x and y together (divisor: number of words − 1).
    """
    x, y, a, b = (t / t.norm(dim=1, keepdim=True) for t in (x, y, a, b))
    s = torch.cat([x, y]) @ (a.mean(0) - b.mean(0))
    difference = s[: len(x)].mean() - s[len(x) :].mean()
    return float(difference / s.std())


def _weat_s(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    x, y, a, b = (t / t.norm(dim=1, keepdim=True) for t in (x, y, a, b))
    direction = a.mean(0) - b.mean(0)
    return x @ direction, y @ direction


def _weat_dot(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    s = torch.cat([x, y]) @ (a.mean(0) - b.mean(0))
    return float((s[: len(x)].mean() - s[len(x) :].mean()) / s.std())


def _weat_undivided(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    of_x, of_y = _weat_s(x, y, a, b)
    return float(of_x.mean() - of_y.mean())


def _weat_sums(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    of_x, of_y = _weat_s(x, y, a, b)
    return float((of_x.sum() - of_y.sum()) / torch.cat([of_x, of_y]).std())


def _weat_within(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    of_x, of_y = _weat_s(x, y, a, b)
    return float((of_x.mean() - of_y.mean()) / ((of_x.var() + of_y.var()) / 2).sqrt())


def _weat_swapped(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    return weat_effect(x, y, b, a)


def _weat_population(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    of_x, of_y = _weat_s(x, y, a, b)
    return float((of_x.mean() - of_y.mean()) / torch.cat([of_x, of_y]).std(correction=0))


def _weat_one_attribute(x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> float:
    return weat_effect(x, y, a, torch.cat([-b, b]) + 1e-9)


def _weat_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n, m, k, other, d in ((5, 5, 7, 3, 11), (7, 3, 5, 5, 4), (13, 11, 2, 5, 3)):
        sizes = (n, m, k, other)
        parts = [torch.randn(size, d, generator=g).double() for size in sizes]
        parts[0] += 0.7 * parts[2].mean(0)
        scaled = [p * (torch.rand(len(p), 1, generator=g).double() * 3 + 0.3) for p in parts]
        cases.append(Case(tuple(scaled), note=say("{n} and {m} targets, D={d}", n=n, m=m, d=d)))
    return cases


def _weat_antisymmetric(answer: Callable[..., float]) -> None:
    g = torch.Generator().manual_seed(5)
    x, y, a, b = (torch.randn(n, 4, generator=g).double() for n in (5, 3, 4, 6))
    there, back = answer(x, y, a, b), answer(y, x, a, b)
    assert abs(there + back) < 1e-6, say(
        "{there:.3f} one way, {back:.3f} with x and y exchanged", there=there, back=back
    )


_WEAT_EXAMPLE = (
    torch.tensor([[1.0, 0.0], [0.8, 0.6]]).double(),
    torch.tensor([[0.0, 1.0], [0.6, 0.8]]).double(),
    torch.tensor([[1.0, 0.0]]).double(),
    torch.tensor([[0.0, 2.0]]).double(),
)

_WEAT = Exercise(
    id="05.weat_effect",
    title="The size of an association",
    statement=(
        "Write `weat_effect(x, y, a, b)`. For each target word let s be its mean cosine with the "
        "attributes `a` minus its mean cosine with `b`. The effect size is the mean of s over `x` "
        "minus the mean over `y`, divided by the standard deviation of s over all words of `x` and "
        "`y` (divisor: number of words − 1). For `x = [[1,0],[.8,.6]]`, `y = [[0,1],[.6,.8]]`, "
        "`a = [[1,0]]` and `b = [[0,2]]` it is 1.4412."
    ),
    solution=weat_effect,
    example=Case(_WEAT_EXAMPLE, note="the printed example"),
    cases=_weat_cases,
    properties=[
        Property("Exchanging x and y changes the sign, nothing else.", _weat_antisymmetric)
    ],
    misconceptions=[
        Misconception(
            "dot",
            _weat_dot,
            "Long vectors count for more: this uses dot products. The association is a mean of "
            "**cosines**; bring all vectors to length 1 first.",
        ),
        Misconception(
            "undivided",
            _weat_undivided,
            "That is the difference of the two means, in units of cosine. An effect size counts "
            "it in standard deviations, so that tests can be compared.",
        ),
        Misconception(
            "sums",
            _weat_sums,
            "The sums of s were subtracted, so a larger set has a larger effect. That is the "
            "statistic of the permutation test; the effect size takes means.",
        ),
        Misconception(
            "within",
            _weat_within,
            "You divide by the spread *within* each set, as Cohen's d does. Here the standard "
            "deviation is taken over the words of both sets together, which keeps the value "
            "below 2 when the sets are of one size.",
        ),
        Misconception(
            "swapped",
            _weat_swapped,
            "The sign is turned: s is the cosine with a **minus** the cosine with b.",
        ),
        Misconception(
            "population",
            _weat_population,
            "A few per cent off: the standard deviation was taken with the divisor n. The exercise "
            "asks for n − 1 (what `std` does by default in torch, and not in numpy).",
        ),
        Misconception(
            "one_attribute",
            _weat_one_attribute,
            "The second attribute set has no influence. What makes it a test of *preference* is "
            "the difference of the two mean cosines.",
        ),
    ],
    nudges=[
        "First one number s for each target word; everything else is a mean and a spread of those.",
        "With unit vectors, the mean cosine with a set is the dot product with the set's mean.",
    ],
    success="Bias as a number with a sign, in standard deviations.",
    remark="One matrix product gives all s at once, because a mean of dot products is a dot "
    "product with the mean.",
    rtol=1e-4,
    atol=1e-6,
)

EXERCISES: list[Exercise] = [_PPMI, _SGNS, _ANALOGY, _WEAT]

QUIZ: list[Question] = [
    Question(
        text="A pair (w, c) was seen exactly as often as chance expects. What is its PMI, and what "
        "does an SGNS of unlimited width give for w·c with k = 5?",
        choices=["0, and −log 5", "1, and 1/5", "0, and 0"],
        answer=0,
        why=[
            "The ratio is 1, its logarithm 0. Noise comes five times as often as pairs, so the "
            "score that tells them apart is lower by log 5.",
            "PMI is the *logarithm* of a ratio; the ratio is 1.",
            "That would be right for k = 1. More noise makes every pair less credible.",
        ],
    ),
    Question(
        text="Why are noise words drawn with probability proportional to the count raised to ¾?",
        choices=[
            "It follows from the loss",
            "It lifts rare words a little; it was chosen because it worked better",
            "It keeps frequent words from being drawn at all",
        ],
        answer=1,
        why=[
            "The loss holds for any noise distribution; the paper reports that ¾ did best.",
            "A word a hundred times rarer is drawn about 32 times less often instead of 100 times. "
            "The optimum moves with it: PMI with a smoothed p(c).",
            "They are still drawn most often, only less so than they occur.",
        ],
    ),
    Question(
        text="In GloVe, two words that never stood near each other contribute …",
        choices=["a large loss, since log 0 is −∞", "nothing", "the same as any other pair"],
        answer=1,
        why=[
            "The weighting function is 0 at 0, so the logarithm is never taken.",
            "f(0) = 0: GloVe learns from the cells that are not empty. SGNS does use them: as "
            "noise.",
            "Weights grow with the count and reach 1 at x_max.",
        ],
    ),
    Question(
        text="An association test gives d = 1.2 with p = 0.20. What follows?",
        choices=[
            "The vectors are free of this bias",
            "A large effect in these words, but as large in one of five random partitions",
            "The effect is twenty per cent",
        ],
        answer=1,
        why=[
            "Not being shown is not being absent; with few words only a huge effect can be shown.",
            "d says how large, p how often chance alone does as much. Few words make p large.",
            "d is in standard deviations, p is a share of partitions.",
        ],
    ),
]
