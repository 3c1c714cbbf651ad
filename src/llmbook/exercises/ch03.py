"""Exercises and quiz of chapter 3: tokenization."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import regex
import torch

from llmbook.exercises.core import Case, Exercise, Misconception, Property, Question
from llmbook.language import translate


def _integer(g: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (1,), generator=g))


def _letters(g: torch.Generator, alphabet: str, n: int) -> str:
    return "".join(alphabet[_integer(g, 0, len(alphabet))] for _ in range(n))


# 03.count_pairs --------------------------------------------------------------------------------


def count_pairs(words: dict[tuple[str, ...], int]) -> dict[tuple[str, str], int]:
    """Count the neighbouring pairs of tokens in a text.

    Args:
        words: each word of the text, spelled in tokens → how often it occurs.
    Returns:
        Each pair of tokens that stand side by side in a word → how often it occurs in the text.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for word, n in words.items():
        for pair in itertools.pairwise(word):
            counts[pair] += n
    return dict(counts)


def _pairs_each_word_once(words):
    return dict(Counter(pair for word in words for pair in itertools.pairwise(word)))


def _pairs_once_per_word(words):
    counts: Counter = Counter()
    for word, n in words.items():
        for pair in set(itertools.pairwise(word)):
            counts[pair] += n
    return dict(counts)


def _pairs_overwritten(words):
    counts = {}
    for word, n in words.items():
        for pair in itertools.pairwise(word):
            counts[pair] = n
    return counts


def _pairs_across_words(words):
    counts: Counter = Counter()
    text = [(token, n) for word, n in words.items() for token in word]
    for (left, _), (right, n) in itertools.pairwise(text):
        counts[left, right] += n
    return dict(counts)


def _pairs_without_overlap(words):
    counts: Counter = Counter()
    for word, n in words.items():
        for i in range(0, len(word) - 1, 2):
            counts[word[i], word[i + 1]] += n
    return dict(counts)


def _pairs_without_order(words):
    counts: Counter = Counter()
    for word, n in words.items():
        for left, right in itertools.pairwise(word):
            counts[tuple(sorted((left, right)))] += n
    return dict(counts)


def _pairs_joined(words):
    return {left + right: n for (left, right), n in count_pairs(words).items()}


def _pairs_cases(g: torch.Generator) -> list[Case]:
    def text(alphabet: str, n_words: int) -> dict[tuple[str, ...], int]:
        drawn = {tuple(_letters(g, alphabet, _integer(g, 2, 8))) for _ in range(n_words)}
        return {word: _integer(g, 2, 30) for word in sorted(drawn)}

    merged = {("th", "e"): 7, ("th", "e", "th", "e"): 2, ("e", "th"): 3, ("th",): 11}
    return [
        Case((text("abc", 5),), note="five words over a, b, c"),
        Case((text("no", 7),), note="seven words over n, o"),
        Case((merged,), note="tokens of two letters, and a word of one token"),
        Case((text("xyzw", 13),), note="thirteen words"),
    ]


_COUNT_PAIRS = Exercise(
    id="03.count_pairs",
    title="Count the pairs",
    statement=(
        "Write `count_pairs(words)`, the first half of a step of BPE. `words` maps each word of a "
        "text, spelled as a tuple of tokens, to how often it occurs. Return how often each pair of "
        "neighbouring tokens occurs in the whole text, as a dictionary. With "
        '`{("h", "u", "g"): 10, ("h", "u", "g", "s"): 5}` the answer is '
        '`{("h", "u"): 15, ("u", "g"): 15, ("g", "s"): 5}`.'
    ),
    solution=count_pairs,
    example=Case(({("h", "u", "g"): 10, ("h", "u", "g", "s"): 5},), note="the printed example"),
    cases=_pairs_cases,
    misconceptions=[
        Misconception(
            "each_word_once",
            _pairs_each_word_once,
            "Every word counts once here. A word that occurs ten times brings ten of each of its "
            "pairs: add its count, not 1.",
        ),
        Misconception(
            "once_per_word",
            _pairs_once_per_word,
            "A pair that stands twice in a word counts once here. In `banana` the pair (a, n) "
            "occurs twice, and so it does in each of its copies.",
        ),
        Misconception(
            "overwritten",
            _pairs_overwritten,
            "The count of the last word replaces what was there. A pair may occur in many words: "
            "add up, as a `Counter` does with `+=`.",
        ),
        Misconception(
            "across_words",
            _pairs_across_words,
            "You count pairs of the last token of one word and the first of the next. Merges never "
            "cross a word's border, or *the* would join whatever follows it.",
        ),
        Misconception(
            "without_overlap",
            _pairs_without_overlap,
            "You take the tokens two by two, so every second pair is missed. Each token but the "
            "last begins a pair: three tokens have two pairs.",
        ),
        Misconception(
            "without_order",
            _pairs_without_order,
            "You count (a, b) and (b, a) as one. They are different: *no* and *on* would be "
            "spelled with the same token.",
        ),
        Misconception(
            "joined",
            _pairs_joined,
            "The keys are joined strings. Two different pairs can spell the same string, such as "
            "(th, e) and (t, he): keep the pair as a tuple.",
        ),
    ],
    nudges=[
        "Go through the words, and in each word through its neighbours: "
        "`zip(word, word[1:])`, or `itertools.pairwise(word)`.",
        "How many times does the pair (u, g) occur in a text in which `hug` occurs ten times?",
    ],
    success="You have the count that decides every merge.",
    remark="Counting in distinct words with their frequencies, and not in the running text, is "
    "what makes training fast: a book of a million words has some twenty thousand different ones.",
)

# 03.apply_merges -------------------------------------------------------------------------------


def apply_merges(word: str, merges: list[tuple[str, str]]) -> list[str]:
    """Cut a new word into the tokens that the learnt merges give.

    Args:
        word: a word, which is spelled in characters at first.
        merges: pairs in the order in which they were learnt, the earliest first.
    Returns:
        The tokens from left to right.
    """
    tokens = list(word)
    for left, right in merges:
        joined, i = [], 0
        while i < len(tokens):
            if i + 1 < len(tokens) and (tokens[i], tokens[i + 1]) == (left, right):
                joined.append(left + right)
                i += 2
            else:
                joined.append(tokens[i])
                i += 1
        tokens = joined
    return tokens


def _merge_longest_first(word, merges):
    known = {left + right for left, right in merges} | set(word)
    tokens, i = [], 0
    while i < len(word):
        end = next(j for j in range(len(word), i, -1) if word[i:j] in known)
        tokens.append(word[i:end])
        i = end
    return tokens


def _merge_leftmost_first(word, merges):
    tokens = list(word)
    while True:
        pairs = list(itertools.pairwise(tokens))
        place = next((i for i, pair in enumerate(pairs) if pair in merges), None)
        if place is None:
            return tokens
        tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]


def _merge_latest_first(word, merges):
    tokens = list(word)
    while True:
        found = [pair for pair in reversed(merges) if pair in list(itertools.pairwise(tokens))]
        if not found:
            return tokens
        tokens = _join_everywhere(tokens, found[0])


def _join_everywhere(tokens, pair):
    joined: list[str] = []
    for token in tokens:
        if joined and (joined[-1], token) == pair:
            joined[-1] += token
        else:
            joined.append(token)
    return joined


def _merge_first_place_only(word, merges):
    tokens = list(word)
    for left, right in merges:
        for i in range(len(tokens) - 1):
            if (tokens[i], tokens[i + 1]) == (left, right):
                tokens[i : i + 2] = [left + right]
                break
    return tokens


def _merge_one_only(word, merges):
    tokens = list(word)
    for pair in merges:
        if pair in list(itertools.pairwise(tokens)):
            return _join_everywhere(tokens, pair)
    return tokens


def _merge_from_the_right(word, merges):
    tokens = list(word)
    for left, right in merges:
        i = len(tokens) - 2
        while i >= 0:
            if (tokens[i], tokens[i + 1]) == (left, right):
                tokens[i : i + 2] = [left + right]
                i -= 1
            i -= 1
    return tokens


def _merge_by_spelling(word, merges):
    tokens = list(word)
    for left, right in merges:
        i = 0
        while i + 1 < len(tokens):
            if tokens[i] + tokens[i + 1] == left + right:
                tokens[i : i + 2] = [left + right]
            i += 1
    return tokens


def _merge_by_replace(word, merges):
    text = " ".join(word)
    for left, right in merges:
        text = text.replace(f"{left} {right}", left + right)
    return text.split()


def _merge_cases(g: torch.Generator) -> list[Case]:
    crossing = [("b", "c"), ("a", "b"), ("a", "bc"), ("c", "d"), ("bc", "d")]
    doubled = [("a", "a"), ("aa", "aa"), ("aa", "b")]
    # "b c" also stands inside "ab c": a replacement in a string joins across tokens
    inside = [("a", "b"), ("b", "c"), ("c", "a"), ("ab", "ca")]
    spelled = [("a", "b"), ("b", "c"), ("a", "bc"), ("d", "ab")]
    return [
        Case(("babcab", crossing[1::-1]), note="two merges that compete for b"),
        Case((_letters(g, "abcd", 11), crossing), note="five merges"),
        Case(("a" * (2 * _integer(g, 3, 6) + 1) + "b", doubled), note="an odd number of a"),
        Case(("abc" + _letters(g, "abc", 13), inside), note="ab c is not a b c"),
        Case(("abcabcd" + _letters(g, "abcd", 7), crossing), note="the same pair in two places"),
        Case(("dabc" + _letters(g, "abcd", 5), spelled), note="a bc is not ab c"),
        Case(("xyz", crossing), note="nothing to join"),
        Case(("", doubled), note="the empty word"),
    ]


def _merges_lose_nothing(answer) -> None:
    merges = [("l", "o"), ("lo", "w"), ("e", "r"), ("w", "er")]
    word = "slowerlowflower"
    tokens = answer(word, merges)
    message = translate("The tokens {tokens} do not spell {word}.")
    assert "".join(tokens) == word, message.format(tokens=tokens, word=repr(word))


_APPLY_MERGES = Exercise(
    id="03.apply_merges",
    title="Cut a new word",
    statement=(
        "Write `apply_merges(word, merges)`: the tokens of a word that BPE has not seen. Begin "
        "with its characters, then join pairs in the order in which they were learnt, each from "
        "left to right wherever it stands. With "
        '`merges = [("e", "s"), ("n", "e"), ("es", "t")]` the word `"nest"` gives '
        '`["n", "est"]`: *e s* was learnt before *n e*, so no *e* is left for it.'
    ),
    solution=apply_merges,
    example=Case(("nest", [("e", "s"), ("n", "e"), ("es", "t")]), note="the printed example"),
    cases=_merge_cases,
    properties=[Property("The tokens, put together, spell the word.", _merges_lose_nothing)],
    misconceptions=[
        Misconception(
            "longest_first",
            _merge_longest_first,
            "You take the longest known token from the left. That is how WordPiece cuts a word. "
            "BPE replays its merges in the order in which they were learnt.",
        ),
        Misconception(
            "leftmost_first",
            _merge_leftmost_first,
            "You join whatever can be joined first from the left. An earlier merge goes first "
            "wherever it stands: with *n e s t*, *e s* before *n e*.",
        ),
        Misconception(
            "latest_first",
            _merge_latest_first,
            "You begin with the merge that was learnt last. The earliest comes first: it is the "
            "most frequent pair, and the later ones are made of its result.",
        ),
        Misconception(
            "first_place_only",
            _merge_first_place_only,
            "Each merge is applied at one place only. A pair is joined wherever it stands.",
        ),
        Misconception(
            "one_only",
            _merge_one_only,
            "You stop after the first merge that applies. Go on: its result may be the beginning "
            "of another pair.",
        ),
        Misconception(
            "from_the_right",
            _merge_from_the_right,
            "You join from the right. It makes a difference where a token repeats: *a a a* "
            "becomes *aa a*, not *a aa*.",
        ),
        Misconception(
            "by_spelling",
            _merge_by_spelling,
            "You compare what two tokens spell together. The merge (a, bc) does not join *ab c*, "
            "though both spell *abc*: compare the left token and the right one, each for itself.",
        ),
        Misconception(
            "by_replace",
            _merge_by_replace,
            "You replace in a string, and `b c` also stands inside `ab c`, where b is the end of "
            "another token. Compare whole tokens, in a list.",
        ),
    ],
    nudges=[
        "Begin with `tokens = list(word)`, and go through `merges` once, from the first.",
        "For one merge, walk along the tokens and build a new list: either two tokens go in as "
        "one, or one goes in as it is.",
        "After joining, step over both tokens: the second cannot be used again.",
    ],
    success="Your function cuts words as every BPE tokenizer does, GPT-2's included.",
    remark="One pass over the merges is enough: a pair that a merge creates holds its new token, "
    "so it was learnt later and its turn still comes. Fast implementations look up the earliest "
    "pair that is present, and give the same tokens.",
)

# 03.best_split ---------------------------------------------------------------------------------


def best_split(text: str, log_probs: dict[str, float]) -> list[str]:
    """The most probable way to cut a text into pieces, by Viterbi's algorithm.

    Args:
        text: what to cut, without spaces.
        log_probs: each piece → the logarithm of its probability (all at most 0).
    Returns:
        The pieces from left to right; an empty list if the text cannot be cut.
    """
    best = [0.0] + [-math.inf] * len(text)
    start_of = [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        for start in range(end):
            score = best[start] + log_probs.get(text[start:end], -math.inf)
            if score > best[end]:
                best[end], start_of[end] = score, start
    if best[-1] == -math.inf:
        return []
    pieces, end = [], len(text)
    while end:
        pieces.append(text[start_of[end] : end])
        end = start_of[end]
    return pieces[::-1]


def _splits(text, log_probs):
    """Every way to cut a text into known pieces."""
    if not text:
        return [[]]
    heads = [text[:i] for i in range(1, len(text) + 1) if text[:i] in log_probs]
    return [[head, *tail] for head in heads for tail in _splits(text[len(head) :], log_probs)]


def _choose(text, log_probs, key):
    splits = [split for split in _splits(text, log_probs) if split]
    return max(splits, key=key) if splits else []


def _split_longest(text, log_probs):
    pieces, start = [], 0
    while start < len(text):
        ends = [e for e in range(len(text), start, -1) if text[start:e] in log_probs]
        if not ends:
            return []
        pieces.append(text[start : ends[0]])
        start = ends[0]
    return pieces


def _split_fewest(text, log_probs):
    return _choose(text, log_probs, lambda s: (-len(s), sum(log_probs[p] for p in s)))


def _split_best_next(text, log_probs):
    pieces, start = [], 0
    while start < len(text):
        known = [text[start:e] for e in range(start + 1, len(text) + 1)]
        known = [piece for piece in known if piece in log_probs]
        if not known:
            return []
        pieces.append(max(known, key=lambda piece: log_probs[piece]))
        start += len(pieces[-1])
    return pieces


def _split_worst(text, log_probs):
    return _choose(text, log_probs, lambda s: -sum(log_probs[p] for p in s))


def _split_mean(text, log_probs):
    return _choose(text, log_probs, lambda s: sum(log_probs[p] for p in s) / len(s))


def _split_product(text, log_probs):
    return _choose(text, log_probs, lambda s: math.prod(log_probs[p] for p in s))


def _split_sum_of_probabilities(text, log_probs):
    return _choose(text, log_probs, lambda s: sum(math.exp(log_probs[p]) for p in s))


def _split_by_products(text, log_probs):
    best, start_of = [1.0] + [0.0] * len(text), [0] * (len(text) + 1)
    for end in range(1, len(text) + 1):
        for start in range(end):
            product = best[start] * math.exp(log_probs.get(text[start:end], -math.inf))
            if product > best[end]:
                best[end], start_of[end] = product, start
    pieces, end = [], len(text) if best[-1] else 0
    while end:
        pieces.append(text[start_of[end] : end])
        end = start_of[end]
    return pieces[::-1]


def _split_backwards(text, log_probs):
    return best_split(text, log_probs)[::-1]


_PIECES = {
    "un": -4.0, "unh": -9.0, "h": -5.1, "ha": -5.7, "happ": -8.3, "happy": -6.1, "app": -6.6,
    "py": -7.4, "y": -4.4, "u": -4.7, "n": -4.2, "a": -3.9, "p": -4.8, "i": -4.1, "l": -4.3,
    "ly": -4.9, "il": -7.8, "happi": -6.9, "unhapp": -13.7, "appi": -7.7, "nh": -8.8,
}  # fmt: skip


def _split_cases(g: torch.Generator) -> list[Case]:
    def vocabulary(alphabet: str, n_long: int) -> dict[str, float]:
        pieces = set(alphabet)
        while len(pieces) < len(alphabet) + n_long:
            pieces.add(_letters(g, alphabet, _integer(g, 2, 5)))
        # thousandths, so that no two splits tie
        return {p: -1 - _integer(g, 1000, 9000) / 1000 for p in sorted(pieces)}

    rare = {"a": -2.0, "b": -2.5, "c": -2.0, "ab": -9.0, "bc": -8.0}
    traps = {"a": -2.0, "b": -2.1, "ab": -4.6, "abc": -3.3, "c": -2.4, "bcd": -2.2, "d": -5.0}
    return [
        Case(("unhappily", _PIECES), note="unhappily"),
        Case(("abc" + _letters(g, "abc", 3), rare), note="long pieces that are rare"),
        Case(("abcd" + _letters(g, "abcd", 4), traps), note="seven pieces over a to d"),
        Case((_letters(g, "xy", 9), vocabulary("xy", 5)), note="nine letters over x, y"),
        Case((_letters(g, "nop", 10), vocabulary("nop", 11)), note="ten letters over n, o, p"),
        Case(("happy!", _PIECES), note="a character that no piece covers"),
        Case(("ab" * 97, {"ab": -8.25, "b": -2.0}), note="97 pieces, each rare"),
        Case((_letters(g, "abc", 8), vocabulary("abc", 7)), note="eight letters over a, b, c"),
    ]


_BEST_SPLIT = Exercise(
    id="03.best_split",
    title="Viterbi for the Unigram model",
    statement=(
        "Write `best_split(text, log_probs)`: among all ways to cut the text into known pieces, "
        "the one whose probability, the product of its pieces' probabilities, is largest. "
        "`log_probs` maps each piece to the logarithm of its probability. A text that cannot be "
        "cut gives an empty list. With "
        '`{"h": -3, "u": -3, "g": -3, "hu": -4, "ug": -2.5}` the text `"hug"` gives '
        '`["h", "ug"]`, whose sum -5.5 beats -7 for *hu g* and -9 for *h u g*.'
    ),
    solution=best_split,
    example=Case(
        ("hug", {"h": -3.0, "u": -3.0, "g": -3.0, "hu": -4.0, "ug": -2.5}),
        note="the printed example",
    ),
    cases=_split_cases,
    misconceptions=[
        Misconception(
            "longest",
            _split_longest,
            "You take the longest piece from the left. A long piece may be rare, and what it "
            "leaves over may be rarer still: compare the whole splits.",
        ),
        Misconception(
            "fewest",
            _split_fewest,
            "You look for the fewest pieces. Three frequent pieces can be more probable than two "
            "rare ones: compare the sums of the logarithms.",
        ),
        Misconception(
            "best_next",
            _split_best_next,
            "You take the most probable piece at each step. Short pieces are probable, and many of "
            "them are not: the product over the whole text decides.",
        ),
        Misconception(
            "worst",
            _split_worst,
            "This is the least probable split. Logarithms of probabilities are negative: the best "
            "is the largest, nearest to 0.",
        ),
        Misconception(
            "mean",
            _split_mean,
            "You compare the mean over the pieces. The probability of a split is a product, so the "
            "logarithms are summed; each further piece costs.",
        ),
        Misconception(
            "product",
            _split_product,
            "You multiply the logarithms. The logarithm of a product is the sum of the logarithms.",
        ),
        Misconception(
            "sum_of_probabilities",
            _split_sum_of_probabilities,
            "You add the probabilities of the pieces. The pieces stand side by side, independently "
            "of each other: their probabilities multiply.",
        ),
        Misconception(
            "products",
            _split_by_products,
            "You multiply probabilities. In a long text the product falls below the smallest "
            "number that a computer holds, and is 0: add logarithms and compare the sums.",
        ),
        Misconception(
            "backwards",
            _split_backwards,
            "The pieces come out from right to left: Viterbi's way back begins at the end. Reverse "
            "the list.",
        ),
    ],
    nudges=[
        "Keep `best[end]`, the score of the best way to cut the first `end` characters, with "
        "`best[0] = 0`. What does `best[end]` follow from?",
        "The last piece of that way begins somewhere: try every `start` with "
        "`text[start:end]` in `log_probs`, and add its score to `best[start]`.",
        "Remember for each `end` which `start` won; then walk back from the end of the text.",
    ],
    success="Among exponentially many ways you found the best.",
    remark="A text of n characters has up to 2ⁿ⁻¹ ways to be cut, and trying all is slow from some "
    "twenty on. Viterbi's algorithm looks at n(n+1)/2 pieces, because the best way to a place does "
    "not depend on what comes after it.",
)

# 03.cut_to_bytes -------------------------------------------------------------------------------


def cut_to_bytes(text: str, n_bytes: int) -> str:
    """The longest beginning of a text that has at most so many bytes, and breaks nothing.

    Args:
        text: any text.
        n_bytes: how many bytes of UTF-8 there is room for.
    Returns:
        A beginning of the text that ends where a grapheme ends: what a reader sees as one
        character, an accent or a joined emoji included, is kept whole or left out.
    """
    kept, used = "", 0
    for grapheme in regex.findall(r"\X", text):
        used += len(grapheme.encode("utf-8"))
        if used > n_bytes:
            break
        kept += grapheme
    return kept


def _cut_code_points(text, n_bytes):
    return text[:n_bytes]


def _cut_ignoring_errors(text, n_bytes):
    return text.encode("utf-8")[:n_bytes].decode("utf-8", errors="ignore")


def _cut_replacing_errors(text, n_bytes):
    return text.encode("utf-8")[:n_bytes].decode("utf-8", errors="replace")


def _cut_graphemes(text, n_bytes):
    return "".join(regex.findall(r"\X", text)[:n_bytes])


def _cut_strictly_less(text, n_bytes):
    return cut_to_bytes(text, n_bytes - 1)


def _cut_one_too_many(text, n_bytes):
    kept = ""
    for grapheme in regex.findall(r"\X", text):
        if len(kept.encode("utf-8")) >= n_bytes:
            break
        kept += grapheme
    return kept


def _cut_skipping(text, n_bytes):
    kept, used = "", 0
    for grapheme in regex.findall(r"\X", text):
        size = len(grapheme.encode("utf-8"))
        if used + size <= n_bytes:
            kept += grapheme
            used += size
    return kept


def _cut_normalised(text, n_bytes):
    import unicodedata

    return cut_to_bytes(unicodedata.normalize("NFC", text), n_bytes)


def _cut_utf16(text, n_bytes):
    kept, used = "", 0
    for grapheme in regex.findall(r"\X", text):
        used += len(grapheme.encode("utf-16-le"))
        if used > n_bytes:
            break
        kept += grapheme
    return kept


_FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
_SAMPLES = ["a", "é", "e\u0301", "世", "界", "🙂", _FAMILY, "🇨🇳", " ", "ö", "n\u0303", "👍🏽", "한"]


def _cut_cases(g: torch.Generator) -> list[Case]:
    def draw(n: int) -> str:
        return "".join(_SAMPLES[_integer(g, 0, len(_SAMPLES))] for _ in range(n))

    mixed = draw(7) + "e\u0301" + _FAMILY + "世界" + draw(3)
    size = len(mixed.encode())
    return [
        Case(("cafe\u0301 au lait", 5), note="room for e, but not for its accent"),
        Case((f"a{_FAMILY}b", 9), note="a family of 18 bytes, room for 9"),
        Case((f"a{_FAMILY}bc", 7), note="a family in the way of b"),
        Case(("世界是美好的", 3 * _integer(g, 1, 5)), note="Chinese, an exact fit"),
        Case(("世界是美好的", 3 * _integer(g, 1, 5) + 1), note="Chinese, a byte too many"),
        Case((mixed, _integer(g, size // 3, 2 * size // 3)), note="a mixture"),
        Case((mixed, size), note="room for everything"),
        Case(("🇨🇳🇨🇳", 12), note="a flag and a half"),
        Case(("n\u0303o", 2), note="no room for the first grapheme"),
    ]


def _cut_never_breaks(answer) -> None:
    text = f"ae\u0301{_FAMILY}世🇨🇳👍🏽z"
    ends = set(itertools.accumulate(map(len, regex.findall(r"\X", text)), initial=0))
    for n in range(len(text.encode()) + 1):
        kept = answer(text, n)
        no_beginning = translate("With room for {n} bytes the result is no beginning.")
        assert text.startswith(kept), no_beginning.format(n=n)
        too_long = translate("With room for {n} bytes it has {size}.")
        assert len(kept.encode()) <= n, too_long.format(n=n, size=len(kept.encode()))
        broken = translate("With room for {n} bytes a grapheme is broken.")
        assert len(kept) in ends, broken.format(n=n)


_CUT_TO_BYTES = Exercise(
    id="03.cut_to_bytes",
    title="Cut a text without breaking a character",
    statement=(
        "A database column has room for so many *bytes*. Write `cut_to_bytes(text, n_bytes)`: the "
        "longest beginning of the text that fits, and that breaks no grapheme (what a reader sees "
        "as one character). `regex.findall(r'\\X', text)` lists the graphemes. With "
        '`"naïve"` (six bytes: *ï* has two) and `n_bytes = 3` the answer is `"na"`.'
    ),
    solution=cut_to_bytes,
    example=Case(("naïve", 3), note="the printed example"),
    cases=_cut_cases,
    properties=[Property("A beginning, within the room, broken nowhere.", _cut_never_breaks)],
    misconceptions=[
        Misconception(
            "code_points",
            _cut_code_points,
            "You count code points: `text[:n]` keeps n of them, and each may have up to four "
            "bytes. Measure `len(part.encode('utf-8'))`.",
        ),
        Misconception(
            "ignoring_errors",
            _cut_ignoring_errors,
            "No code point is broken, but graphemes are: an accent is cut off its letter, a family "
            "loses a member. Step through the graphemes, `\\X`.",
        ),
        Misconception(
            "replacing_errors",
            _cut_replacing_errors,
            "A broken character turned into �, the replacement character. It was not in the "
            "text, and it has three bytes of its own.",
        ),
        Misconception(
            "graphemes",
            _cut_graphemes,
            "You keep `n_bytes` graphemes. A grapheme has at least one byte and often many: add up "
            "the bytes of each.",
        ),
        Misconception(
            "strictly_less",
            _cut_strictly_less,
            "One byte is left unused where the text would fit exactly: *at most* `n_bytes`.",
        ),
        Misconception(
            "one_too_many",
            _cut_one_too_many,
            "You ask whether there is room left before you add a grapheme, and not whether it "
            "fits. The last one goes beyond `n_bytes`.",
        ),
        Misconception(
            "skipping",
            _cut_skipping,
            "A grapheme that does not fit is left out, and a later one taken. The result is no "
            "beginning of the text any more: stop at the first that does not fit.",
        ),
        Misconception(
            "normalised",
            _cut_normalised,
            "You normalise first, which changes the text: e and accent become one code point. That "
            "saves bytes, but is no beginning of what was given.",
        ),
        Misconception(
            "utf16",
            _cut_utf16,
            "You measure UTF-16, which has two bytes or four for a code point. The room is counted "
            "in UTF-8.",
        ),
    ],
    nudges=[
        "Three units are in play: bytes limit the room, graphemes must stay whole, and Python's "
        "`len` counts neither of them.",
        "Walk through the graphemes, keep a sum of `len(grapheme.encode('utf-8'))`, and stop "
        "before it exceeds `n_bytes`.",
    ],
    success="Bytes, code points and graphemes: you kept the three apart.",
    remark="A model that writes byte-level tokens has this problem at every step: after a token "
    "that ends inside a character there is nothing to show yet. `llmbook.generate` waits.",
)

EXERCISES = [_COUNT_PAIRS, _APPLY_MERGES, _BEST_SPLIT, _CUT_TO_BYTES]

QUIZ = [
    Question(
        text="BPE has learnt the merges (e, s), (es, t), (n, e). How is *nest* cut?",
        choices=["n + est", "ne + st", "nest"],
        answer=0,
        why=[
            "*e s* first, then *es t*; for *n e* no *e* is left.",
            "*n e* was learnt last. By its turn the *e* is gone: *e s* came first.",
            "No merge joins *n* with *est*, or *ne* with *st*.",
        ],
    ),
    Question(
        text="Why do two words that look alike, *café* and *café*, sometimes get different ids?",
        choices=[
            "The tokenizer draws at random",
            "One has é as one code point, the other as e and a combining accent",
            "UTF-8 allows several encodings of a code point",
        ],
        answer=1,
        why=[
            "Encoding is a function: the same code points always give the same ids.",
            "Different code points, so different bytes and tokens. NFC or NFD makes them equal.",
            "It allows one only; longer forms are forbidden.",
        ],
    ),
    Question(
        text="The same sentence costs several times as many tokens in Malayalam as in English. "
        "What did the chapter find to be the main reason?",
        choices=[
            "Malayalam needs more characters to say the same",
            "The merges were learnt from text with hardly any Malayalam in it",
            "Malayalam has longer words",
        ],
        answer=1,
        why=[
            "It needs few more. Each has three bytes, but that alone explains less than the gap.",
            "With a vocabulary learnt from equal shares most of the gap is gone. A pattern that "
            "knows its vowel marks takes most of the rest.",
            "Word length matters little to BPE once the pieces are known.",
        ],
    ),
    Question(
        text="What does a language model receive when it reads *strawberry*?",
        choices=[
            "Ten letters",
            "The bytes of the word",
            "The ids of a few tokens, each standing for a row of the embedding table",
        ],
        answer=2,
        why=[
            "The letters are gone once the text is encoded.",
            "Bytes are where byte-level BPE starts; what it hands on are ids.",
            "What it knows about the letters inside it has to infer from how a token is used.",
        ],
    ),
]
