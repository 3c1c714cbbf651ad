"""The loops of byte-pair encoding: joining pairs, and choosing which pair to join."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

Pair = tuple[int, int]


def join_pair(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of a pair by one id, from left to right."""
    left, right = pair
    joined: list[int] = []
    for token in ids:
        if token == right and joined and joined[-1] == left:
            joined[-1] = new_id
        else:
            joined.append(token)
    return joined


def merge_word(ids: Sequence[int], ranks: Mapping[Pair, tuple[int, int]]) -> list[int]:
    """Join pairs in the order in which they were learnt, the leftmost of equal ones first.

    A heap holds the pairs that stand side by side, so that a word of n tokens takes n log n
    steps: a million letters without a space end in seconds.

    Args:
        ids: the word, spelled in single bytes.
        ranks: pair → (when it was learnt, the id that it becomes).

    Source: Sennrich et al. 2016, section 3.2.
    """
    tokens = list(ids)
    before, after = list(range(-1, len(tokens) - 1)), list(range(1, len(tokens) + 1))
    heap = [(*ranks[p], i, p) for i, p in enumerate(itertools.pairwise(tokens)) if p in ranks]
    heapq.heapify(heap)
    while heap:
        _, joined, i, (left, right) = heapq.heappop(heap)
        j = after[i]
        if tokens[i] != left or j >= len(tokens) or tokens[j] != right:
            continue  # one of the two has been joined with another since
        tokens[i], tokens[j] = joined, -1
        after[i] = after[j]
        if after[i] < len(tokens):
            before[after[i]] = i
        for start, end in ((before[i], i), (i, after[i])):
            if start >= 0 and end < len(tokens):
                pair = (tokens[start], tokens[end])
                if pair in ranks:
                    heapq.heappush(heap, (*ranks[pair], start, pair))
    return [token for token in tokens if token >= 0]


def learn_merges(words: Mapping[tuple[int, ...], int], n_merges: int, first_id: int) -> list[Pair]:
    """The most frequent pair, again and again, each time in the text joined so far.

    Only words that contain the joined pair are counted anew, and a heap yields the next
    pair, so that a vocabulary of thousands is learnt in seconds.

    Args:
        words: how often each word occurs, spelled in ids.
        n_merges: how many pairs to learn; fewer where no pair occurs twice.
        first_id: the id of the first joined pair.

    Source: Sennrich et al. 2016, algorithm 1.
    """
    spellings = [list(word) for word in words]
    times = list(words.values())
    counts, where = _count_pairs(spellings, times)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        negative_count, pair = heapq.heappop(heap)
        if -negative_count != counts[pair]:  # an old entry: the count has changed since
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        if counts[pair] < 2:
            break
        merges.append(pair)
        changed = _apply(pair, first_id + len(merges) - 1, spellings, times, counts, where)
        for other in changed:
            if counts[other] > 0:
                heapq.heappush(heap, (-counts[other], other))
    return merges


def _count_pairs(
    spellings: list[list[int]], times: list[int]
) -> tuple[dict[Pair, int], dict[Pair, set[int]]]:
    counts: dict[Pair, int] = defaultdict(int)  # adds faster than a Counter
    where: dict[Pair, set[int]] = defaultdict(set)
    for w, spelling in enumerate(spellings):
        for pair in itertools.pairwise(spelling):
            counts[pair] += times[w]
            where[pair].add(w)
    return counts, where


def _apply(
    pair: Pair,
    new_id: int,
    spellings: list[list[int]],
    times: list[int],
    counts: dict[Pair, int],
    where: dict[Pair, set[int]],
) -> set[Pair]:
    """Join the pair in every word that has it; return the pairs that came to be.

    Only what stands beside the new token is counted anew: where ``b left right c`` becomes
    ``b new c``, the pairs (b, left) and (right, c) give way to (b, new) and (new, c).
    """
    left, right = pair
    born: set[Pair] = set()
    for w in where.pop(pair):
        spellings[w] = join_pair(spellings[w], pair, new_id)
        for new in itertools.pairwise(spellings[w]):
            a, b = new
            if a == new_id or b == new_id:
                old = (right if a == new_id else a, left if b == new_id else b)
                counts[old] -= times[w]
                counts[new] += times[w]
                where[new].add(w)
                born.add(new)
    counts[pair] = 0
    return born
