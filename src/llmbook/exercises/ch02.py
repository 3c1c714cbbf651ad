"""Exercises and quiz of chapter 2: levels of language."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from llmbook.exercises.core import Case, Exercise, Misconception, Question
from llmbook.language import say

# 02.viterbi_step ---------------------------------------------------------------------------------


def viterbi_step(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    """One step of Viterbi's algorithm, in logarithms.

    Args:
        delta: (K,), for each tag the log-probability of the best path that ends in it.
        log_a: (K, K), log_a[i, j] = log P(next tag j | tag i).
        log_b: (K,), log P(next word | tag j).
    Returns:
        The new delta (K,), and for each tag j the tag from which its best path comes (K,).
    """
    scores = delta[:, None] + log_a
    best, back = scores.max(dim=0)
    return best + log_b, back


def _vit_sum(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    scores = delta[:, None] + log_a
    return scores.logsumexp(dim=0) + log_b, scores.argmax(dim=0)


def _vit_transposed(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    return viterbi_step(delta, log_a.T, log_b)


def _vit_rows(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    best, back = (delta[:, None] + log_a).max(dim=1)
    return best + log_b, back


def _vit_product(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    best, back = (delta[:, None] * log_a).max(dim=0)
    return best * log_b, back


def _vit_broadcast(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    best, back = (delta + log_a).max(dim=0)
    return best + log_b, back


def _vit_no_emission(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    best, back = (delta[:, None] + log_a).max(dim=0)
    return best, back


def _vit_greedy(delta: Tensor, log_a: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    i = delta.argmax()
    return delta[i] + log_a[i] + log_b, torch.full_like(log_b, int(i)).long()


def _vit_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for k in (5, 7, 11):
        log_a = torch.log_softmax(3 * torch.randn(k, k, generator=g), dim=1)
        log_b = torch.log_softmax(3 * torch.randn(k, generator=g), dim=0)
        delta = -10 * torch.rand(k, generator=g)
        cases.append(Case((delta, log_a, log_b), note=say("{k} tags", k=k)))
    delta, log_a, log_b = (x.clone() for x in cases[0].args)
    log_b[1] = -math.inf
    log_a[:, 2] = -math.inf
    return [*cases, Case((delta, log_a, log_b), note="a tag that the word never has, and one that "
                                                     "follows no other")]  # fmt: skip


_DELTA = torch.tensor([0.6, 0.4]).log()
_A = torch.tensor([[0.2, 0.8], [0.5, 0.5]]).log()
_B = torch.tensor([0.9, 0.1]).log()

_VITERBI_STEP = Exercise(
    id="02.viterbi_step",
    title="One step of Viterbi",
    statement=(
        "Write `viterbi_step(delta, log_a, log_b)`: the column of the lattice that follows "
        "`delta`, and its back pointers. All three arguments are logarithms. Say that the best "
        "paths into two tags have the probabilities 0.6 and 0.4, that the transitions are "
        "[[0.2, 0.8], [0.5, 0.5]], and that the next word has the probabilities 0.9 and 0.1. Then "
        "the new probabilities are 0.18 (from tag 1, since 0.4 · 0.5 is more than 0.6 · 0.2) and "
        "0.048 (from tag 0): return their logarithms, and the pointers [1, 0]."
    ),
    solution=viterbi_step,
    example=Case((_DELTA, _A, _B), note="the printed example"),
    cases=_vit_cases,
    misconceptions=[
        Misconception(
            "sum",
            _vit_sum,
            "The pointers are right, but each new value adds up *all* ways into the tag. That is "
            "the forward algorithm, the probability of the words. Viterbi keeps the best way "
            "alone.",
        ),
        Misconception(
            "transposed",
            _vit_transposed,
            "You read the transitions the wrong way round: `log_a[i, j]` leads **from** i **to** "
            "j, and the step goes from i to j.",
        ),
        Misconception(
            "rows",
            _vit_rows,
            "You maximise over the tag that comes *next*. For each next tag the best *previous* "
            "one is asked: the maximum runs down the columns, over i.",
        ),
        Misconception(
            "product",
            _vit_product,
            "Logarithms are multiplied. Where probabilities multiply, their logarithms add.",
        ),
        Misconception(
            "broadcast",
            _vit_broadcast,
            "`delta + log_a` adds delta[j] to column j, since shapes are matched from the right. "
            "It belongs to the rows: write `delta[:, None]`.",
        ),
        Misconception(
            "no_emission",
            _vit_no_emission,
            "The word itself has not been taken into account: `log_b` is missing.",
        ),
        Misconception(
            "greedy",
            _vit_greedy,
            "Every path is made to come from the tag that leads so far. A tag that is behind now "
            "can be on the best path later: choose for each next tag by itself.",
        ),
    ],
    nudges=[
        "Make the table of all K × K ways first: how good is it to come from i and go to j?",
        "Row i of that table is `delta[i] + log_a[i]`. Take the maximum over i.",
        "`values, indices = table.max(dim=0)` gives both things that are asked.",
    ],
    success="K × K sums for each word, instead of K to the power of their number.",
    remark="`log_b[j]` is the same for all i, so it may be added after the maximum was taken.",
)

# 02.inside_cell ----------------------------------------------------------------------------------

Cell = dict[str, float]


def inside_cell(
    rules: list[tuple[str, str, str, float]], splits: list[tuple[dict, dict]]
) -> dict[str, float]:
    """Inside probabilities of one cell of CKY's chart.

    Args:
        rules: (A, B, C, p): A becomes B C with probability p.
        splits: for each place where the words of the cell can be cut in two, the finished cells
            of the left and of the right part: symbol → inside probability.
    Returns:
        For every symbol that can cover the words: the sum of the probabilities of all ways.
    """
    cell: dict[str, float] = {}
    for left, right in splits:
        for a, b, c, p in rules:
            if b in left and c in right:
                cell[a] = cell.get(a, 0.0) + p * left[b] * right[c]
    return cell


def _ways(rules: list, splits: list) -> list[tuple[str, float, float, float]]:
    return [
        (a, p, left[b], right[c])
        for left, right in splits
        for a, b, c, p in rules
        if b in left and c in right
    ]


def _cell_max(rules: list, splits: list) -> Cell:
    cell: Cell = {}
    for a, p, x, y in _ways(rules, splits):
        cell[a] = max(cell.get(a, 0.0), p * x * y)
    return cell


def _cell_last(rules: list, splits: list) -> Cell:
    return {a: p * x * y for a, p, x, y in _ways(rules, splits)}


def _cell_first_split(rules: list, splits: list) -> Cell:
    return inside_cell(rules, splits[:1])


def _cell_no_rule(rules: list, splits: list) -> Cell:
    cell: Cell = {}
    for a, _, x, y in _ways(rules, splits):
        cell[a] = cell.get(a, 0.0) + x * y
    return cell


def _cell_adds(rules: list, splits: list) -> Cell:
    cell: Cell = {}
    for a, p, x, y in _ways(rules, splits):
        cell[a] = cell.get(a, 0.0) + p * (x + y)
    return cell


def _cell_swapped(rules: list, splits: list) -> Cell:
    return inside_cell(rules, [(right, left) for left, right in splits])


def _cell_counts(rules: list, splits: list) -> Cell:
    cell: Cell = {}
    for a, *_ in _ways(rules, splits):
        cell[a] = cell.get(a, 0.0) + 1.0
    return cell


_RULES = [
    ("NP", "D", "N", 0.5), ("NP", "NP", "PP", 0.125), ("VP", "V", "NP", 0.5),
    ("VP", "VP", "PP", 0.25), ("VP", "V", "SC", 0.125), ("PP", "P", "NP", 1.0),
    ("SC", "NP", "VP", 1.0), ("S", "NP", "VP", 1.0),
]  # fmt: skip
_SYMBOLS = ["NP", "VP", "PP", "V", "SC", "D", "N", "P"]
_SPLIT = [({"V": 1.0}, {"NP": 0.02}), ({"VP": 0.1}, {"PP": 0.04})]


def _cell_cases(g: torch.Generator) -> list[Case]:
    def draw() -> Cell:
        chosen = torch.rand(len(_SYMBOLS), generator=g)
        values = torch.rand(len(_SYMBOLS), generator=g).tolist()
        return {s: round(0.01 + v, 3) for s, v, c in zip(_SYMBOLS, values, chosen, strict=True)
                if c < 0.7}  # fmt: skip

    cases = [
        Case((_RULES, [(draw(), draw()) for _ in range(n)]), note=say("{n} places to cut", n=n))
        for n in (3, 5, 2)
    ]
    return [*cases, Case((_RULES, [({"D": 0.5}, {}), ({}, {"N": 1.0})]), note="nothing fits")]


_INSIDE_CELL = Exercise(
    id="02.inside_cell",
    title="A cell of the chart",
    statement=(
        "Write `inside_cell(rules, splits)`: what CKY writes into one cell when the cells of all "
        "shorter spans are done. With `VP → V NP` of probability 0.5 and `VP → VP PP` of 0.25, and "
        'the splits `[({"V": 1.0}, {"NP": 0.02}), ({"VP": 0.1}, {"PP": 0.04})]`, there are two '
        "ways to make a VP: 0.5 · 1 · 0.02 = 0.01 and 0.25 · 0.1 · 0.04 = 0.001. The answer is "
        '`{"VP": 0.011}`.'
    ),
    solution=inside_cell,
    example=Case((_RULES, _SPLIT), note="the printed example"),
    cases=_cell_cases,
    misconceptions=[
        Misconception(
            "maximum",
            _cell_max,
            "You keep the best way only. That finds the most probable tree; the **inside** "
            "probability is the sum over all ways.",
        ),
        Misconception(
            "last",
            _cell_last,
            "A later way replaces an earlier one. Add to what the cell holds already.",
        ),
        Misconception(
            "first_split",
            _cell_first_split,
            "Only the first place to cut was used. The words can be cut between any two of them.",
        ),
        Misconception(
            "no_rule",
            _cell_no_rule,
            "The probability of the rule itself is missing from the product.",
        ),
        Misconception(
            "adds",
            _cell_adds,
            "You add the probabilities of the two parts. Both must happen: multiply them.",
        ),
        Misconception(
            "swapped",
            _cell_swapped,
            "Left and right are exchanged: in A → B C, B covers the *first* words.",
        ),
        Misconception(
            "counts",
            _cell_counts,
            "This is the number of ways. Each way weighs as much as its probability.",
        ),
    ],
    nudges=[
        "Three loops at most: over the places to cut, over the rules, and none over symbols.",
        "A rule fits a split when B is in the left cell and C in the right one.",
        "`cell[a] = cell.get(a, 0.0) + …`",
    ],
    success="Applied to spans of growing length, this is the whole parser.",
    remark="Replace + by max and you have the best tree; replace p by 1 and you count trees.",
)

# 02.segment --------------------------------------------------------------------------------------


def segment(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    """The most probable way to cut a text into words.

    Args:
        text: without spaces.
        log_p: word → log-probability.
        unknown: log-probability of a single character that is not in `log_p`.
    Returns:
        The words, in order; joined they are the text. No two ways are equally probable here.
    """
    best = [0.0] + [-math.inf] * len(text)
    back = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        for start in range(end):
            word = text[start:end]
            score = log_p.get(word, unknown if len(word) == 1 else -math.inf)
            if best[start] + score > best[end]:
                best[end], back[end] = best[start] + score, start
    words: list[str] = []
    end = len(text)
    while end:
        words.insert(0, text[back[end] : end])
        end = back[end]
    return words


def _seg_forward(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    words: list[str] = []
    i = 0
    while i < len(text):
        j = next((j for j in range(len(text), i, -1) if text[i:j] in log_p), i + 1)
        words.append(text[i:j])
        i = j
    return words


def _seg_backward(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    words: list[str] = []
    j = len(text)
    while j:
        i = next((i for i in range(j) if text[i:j] in log_p), j - 1)
        words.insert(0, text[i:j])
        j = i
    return words


def _seg_fewest(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    flat = {word: -1.0 + 1e-4 * value for word, value in log_p.items()}
    return segment(text, flat, -1.0 + 1e-4 * unknown)


def _seg_characters(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    return list(text)


def _seg_step(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    words: list[str] = []
    i = 0
    while i < len(text):
        ends = [j for j in range(i + 1, len(text) + 1) if text[i:j] in log_p] or [i + 1]
        j = max(ends, key=lambda j: log_p.get(text[i:j], unknown))
        words.append(text[i:j])
        i = j
    return words


def _seg_drops(text: str, log_p: dict[str, float], unknown: float) -> list[str]:
    return [word for word in segment(text, log_p, unknown) if word in log_p]


_ZH = {
    "研究": -7.6,
    "研究生": -9.8,
    "生命": -8.2,
    "起源": -10.3,
    "命": -9.6,
    "生": -7.4,
    "究": -13.2,
}


def _seg_cases(g: torch.Generator) -> list[Case]:
    cases = []
    for n, letters in ((11, "abc"), (17, "abcd"), (13, "ab")):
        text = "".join(letters[i] for i in torch.randint(len(letters), (n,), generator=g).tolist())
        pieces = {text[i:j] for i in range(n) for j in range(i + 1, min(n, i + 4) + 1)}
        log_p = {}
        for piece in sorted(pieces):
            if len(piece) == 1 or torch.rand(1, generator=g).item() < 0.5:
                log_p[piece] = round(-2 - 6 * torch.rand(1, generator=g).item(), 4)
        cases.append(
            Case((text, log_p, -9.0), note=say("{n} letters, {a} words", n=n, a=len(log_p)))
        )
    return [
        *cases,
        Case(("研究生命x起源", _ZH, -15.5), note="a character that is no word"),
        Case(("abcd", {"abcd": -20.0, "ab": -3.0, "cd": -3.5, "c": -7.0}, -9.0), note="4 letters"),
        Case(("", _ZH, -15.5), note="an empty text"),
    ]


_SEGMENT = Exercise(
    id="02.segment",
    title="Where do the words end?",
    statement=(
        "Write `segment(text, log_p, unknown)`: the cut of a text whose words have the largest sum "
        "of log-probabilities. A single character that is not in the dictionary counts as a word "
        "with the log-probability `unknown`. 研究生命起源 (*to study the origin of life*) becomes "
        '`["研究", "生命", "起源"]`, although 研究生 (*graduate student*) is in the dictionary.'
    ),
    solution=segment,
    example=Case(("研究生命起源", _ZH, -15.5), note="the printed example"),
    cases=_seg_cases,
    misconceptions=[
        Misconception(
            "forward",
            _seg_forward,
            "You take the longest word from the left each time. What it leaves over may be "
            "improbable: weigh whole ways of cutting, not single words.",
        ),
        Misconception(
            "backward",
            _seg_backward,
            "You take the longest word from the *right* each time. It errs less often in Chinese "
            "than from the left, but it is as blind to probabilities.",
        ),
        Misconception(
            "fewest",
            _seg_fewest,
            "Yours is the cut with the fewest words. A few rare words can be less probable than "
            "many frequent ones: add their log-probabilities.",
        ),
        Misconception(
            "step",
            _seg_step,
            "At each place you take the most probable next word. Short words are frequent, so "
            "they always win; the decision must wait until the rest of the text is known.",
        ),
        Misconception(
            "characters",
            _seg_characters,
            "Every character has become a word of its own.",
        ),
        Misconception(
            "drops",
            _seg_drops,
            "Characters that are not in the dictionary have been left out. Joined, your words "
            "must give the text back.",
        ),
    ],
    nudges=[
        "Let best[end] be the best score of the first `end` characters. What is best[0]?",
        "The last word of the first `end` characters starts somewhere: try every start.",
        "Remember for each end where its last word starts; then walk back from the end.",
    ],
    success="Viterbi again, on a line instead of a lattice.",
    remark="best[end] needs only the values before it: that is what makes it dynamic programming.",
)

# 02.lesk -----------------------------------------------------------------------------------------


def lesk(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    """The sense whose gloss shares most words with the context.

    Args:
        context: the words around the ambiguous one, which is not among them.
        glosses: one list of words per sense; the sense that is met most often comes first.
        ignore: words that do not count.
    Returns:
        The index of the sense with the most *different* shared words; on a tie the first of them.
    """
    around = set(context) - ignore
    overlaps = [len(around & set(gloss)) for gloss in glosses]
    return overlaps.index(max(overlaps))


def _lesk_stop(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    return lesk(context, glosses, set())


def _lesk_repeats(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    around = set(context) - ignore
    overlaps = [sum(word in around for word in gloss) for gloss in glosses]
    return overlaps.index(max(overlaps))


def _lesk_last(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    around = set(context) - ignore
    overlaps = [len(around & set(gloss)) for gloss in glosses]
    return max(i for i, n in enumerate(overlaps) if n == max(overlaps))


def _lesk_share(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    around = set(context) - ignore
    overlaps = [len(around & set(gloss)) / len(set(gloss)) for gloss in glosses]
    return overlaps.index(max(overlaps))


def _lesk_overlap(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    around = set(context) - ignore
    return max(len(around & set(gloss)) for gloss in glosses)


def _lesk_first(context: list[str], glosses: list[list[str]], ignore: set[str]) -> int:
    return 0


_IGNORE = {"the", "a", "of", "he", "on", "in", "that"}
_BANK = [
    "sloping land beside a body of water".split(),
    "a financial institution that accepts deposits of money".split(),
]
_LESK_WORDS = "river water money loan boat teller fish cash shore credit".split()


def _lesk_cases(g: torch.Generator) -> list[Case]:
    def draw(n: int, words: list[str]) -> list[str]:
        return [words[i] for i in torch.randint(len(words), (n,), generator=g).tolist()]

    stop = sorted(_IGNORE)
    cases = []
    for n in (5, 7, 11):
        context = draw(n, _LESK_WORDS) + draw(n, stop)
        glosses = [draw(2 + 3 * k, _LESK_WORDS) + draw(2 + k, stop) for k in range(4)]
        cases.append(Case((context, glosses, _IGNORE), note=say("{a} words, 4 senses", a=2 * n)))
    tie = Case((["the", "boat"], [["money"], ["boat"], ["boat", "shore"]], _IGNORE), note="a tie")
    stops = Case(
        (["he", "the", "of", "fish"], [["fish"], ["the", "of", "he", "cash"]], _IGNORE),
        note="words that do not count",
    )
    twice = Case(
        (["fish", "boat"], [["boat", "fish"], ["fish"] * 3, ["cash"]], _IGNORE),
        note="a word that is repeated",
    )
    length = Case(
        (["fish", "boat"], [["fish"], [*_LESK_WORDS], ["a"]], _IGNORE), note="a long gloss"
    )
    none = Case((["fish"], [["a"], ["cash"]], _IGNORE), note="nothing shared")
    return [*cases, tie, stops, twice, length, none]


_LESK = Exercise(
    id="02.lesk",
    title="Lesk's overlap",
    statement=(
        "Write `lesk(context, glosses, ignore)`: the index of the sense whose gloss shares the "
        "most different words with the context, words of `ignore` left out. On a tie the first "
        "wins, because senses are listed by frequency. For `he rowed on the water to the bank`, "
        "given without `bank`, and the two glosses *sloping land beside a body of water* and *a "
        "financial institution that accepts deposits of money*, the answer is 0."
    ),
    solution=lesk,
    example=Case(
        ("he rowed on the water to the".split(), _BANK, _IGNORE), note="the printed example"
    ),
    cases=_lesk_cases,
    misconceptions=[
        Misconception(
            "stop_words",
            _lesk_stop,
            "Words such as *the* and *of* are counted. They stand in every gloss and decide "
            "nothing: leave out those in `ignore`.",
        ),
        Misconception(
            "repeats",
            _lesk_repeats,
            "A word that a gloss repeats is counted again each time. Count *different* words: "
            "sets do that.",
        ),
        Misconception(
            "last",
            _lesk_last,
            "Where senses tie, you take the last. The first is the more frequent one.",
        ),
        Misconception(
            "share",
            _lesk_share,
            "You divide by the length of the gloss, and so favour short ones. Asked is the number "
            "of shared words.",
        ),
        Misconception(
            "overlap",
            _lesk_overlap,
            "You return how *large* the best overlap is. Asked is *which* sense has it.",
        ),
        Misconception(
            "first_sense",
            _lesk_first,
            "You always answer 0. That is the baseline of the most frequent sense, hard to beat, "
            "but it does not look at the context.",
        ),
    ],
    nudges=[
        "Turn context and gloss into sets. What do they share?",
        "One overlap per sense; then the index of the largest.",
        "`overlaps.index(max(overlaps))` finds the first of several equal ones.",
    ],
    success="The idea of 1986, which needs a dictionary and nothing else.",
    remark="`&` on sets removes repeats and order at once.",
)

EXERCISES = [_VITERBI_STEP, _SEGMENT, _INSIDE_CELL, _LESK]

QUIZ = [
    Question(
        text="A sentence of 20 words, and 80 tags. About how many sums does Viterbi need for a "
        "bigram tagger, and how many paths are there?",
        choices=["20 · 80² sums; 80²⁰ paths", "80²⁰ sums; 80²⁰ paths", "20 · 80 sums; 20⁸⁰ paths"],
        answer=0,
        why=[
            "One table of 80 × 80 for each word. The best path into a tag is all that later words "
            "need to know of the past.",
            "That is trying every path, which Viterbi avoids.",
            "Each word needs a look at every *pair* of neighbouring tags, and each word has 80 "
            "choices.",
        ],
    ),
    Question(
        text="A PCFG finds two trees for *she ate the pizza with a fork*, one with the fork on the "
        "pizza. What happens to the ratio of their probabilities in *she ate the pizza with "
        "olives*, if *a fork* and *olives* are both noun phrases?",
        choices=[
            "It turns in favour of olives on the pizza",
            "It stays exactly the same",
            "It depends on how frequent olives are",
        ],
        answer=1,
        why=[
            "People do that. The rules do not see which noun stands below NP.",
            "The same phrase stands in both trees, so its probability cancels. Only the rules "
            "that differ decide, whatever the words.",
            "The frequency of the word is in both trees and cancels.",
        ],
    ),
    Question(
        text="*Some of the students passed; in fact, all of them did.* What does the second half "
        "show about *not all* in the first?",
        choices=[
            "That it was part of the meaning of *some*, so the speaker contradicts herself",
            "That it was an implicature: suggested, and open to be cancelled",
            "That *some* means *all*",
        ],
        answer=1,
        why=[
            "Then the sentence would be as odd as *two of them passed; in fact, none did*.",
            "What a word means cannot be taken back without contradiction. What a speaker lets "
            "you conclude can.",
            "*Some* is true when all passed, but it does not say so.",
        ],
    ),
]
