"""The two loops of byte-pair encoding: joining one pair, and choosing which pair to join."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

Pair = tuple[int, int]


def join_pair(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of a pair by one id, from left to right."""
    joined: list[int] = []
    i = 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            joined.append(new_id)
            i += 2
        else:
            joined.append(ids[i])
            i += 1
    return joined


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
) -> tuple[Counter[Pair], dict[Pair, set[int]]]:
    counts: Counter[Pair] = Counter()
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
    counts: Counter[Pair],
    where: dict[Pair, set[int]],
) -> set[Pair]:
    """Join the pair in every word that has it; return the pairs whose counts grew."""
    grown: set[Pair] = set()
    for w in where.pop(pair):
        before = spellings[w]
        after = join_pair(before, pair, new_id)
        spellings[w] = after
        for old in itertools.pairwise(before):
            counts[old] -= times[w]
        for new in itertools.pairwise(after):
            counts[new] += times[w]
            where[new].add(w)
            if new_id in new:
                grown.add(new)
    return grown
