"""The held-out split: by document, reproducible, with nothing long shared between the two sides.

Two documents overlap when they share word 8-grams, as parallel chapters of the Bible and sister
articles of an encyclopedia do. Overlapping documents are put on the same side together with
everything that overlaps them, so that no held-out text can be recited from the training text.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .common import Draft

SHINGLE = 8  # words
SHARED_FRACTION = 0.02  # of the shorter document's 8-grams ...
SHARED_COUNT = 5  # ... and at least so many; or
SHARED_FRACTION_ALONE = 0.10  # so large a fraction whatever the number
DUPLICATE_FRACTION = 0.80  # the later of two such documents is dropped
HELDOUT_FRACTION = 0.05
HELDOUT_BYTES = 150_000
LARGEST_GROUP = 0.25  # of the held-out part, so that no cluster of parallel texts dominates it ...
LARGEST_WORK = 0.60  # ... except in Shakespeare, where a group is a whole play

Shingles = NDArray[np.uint64]


def shingle(texts: Sequence[str], n: int = SHINGLE) -> list[Shingles]:
    """The distinct 64-bit hashes of each text's word n-grams, case and punctuation ignored."""
    vocabulary: dict[str, int] = {}
    return [_hash_ngrams(_word_ids(text, vocabulary), n) for text in texts]


def overlaps(shingles: Sequence[Shingles]) -> Counter[tuple[int, int]]:
    """For each pair of documents that share any n-gram: the number of distinct ones shared."""
    hashes = np.concatenate(shingles)
    owners = np.repeat(np.arange(len(shingles)), [len(s) for s in shingles])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    starts = np.flatnonzero(np.r_[True, hashes[1:] != hashes[:-1]])
    ends = np.r_[starts[1:], len(hashes)]
    pairs: Counter[tuple[int, int]] = Counter()
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        members = sorted(owners[start:end].tolist())
        pairs.update((a, b) for i, a in enumerate(members) for b in members[i + 1 :])
    return pairs


def drop_duplicates(drafts: list[Draft]) -> tuple[list[Draft], list[tuple[str, str]]]:
    """Drop the later of two (nearly) equal documents; also return (dropped, kept) titles."""
    shingles = shingle([d.text for d in drafts])
    seen: dict[str, int] = {}
    dropped: dict[int, int] = {}
    for i, draft in enumerate(drafts):
        first = seen.setdefault(draft.text, i)
        if first != i:
            dropped[i] = first
    for (a, b), shared in sorted(overlaps(shingles).items()):
        larger = max(len(shingles[a]), len(shingles[b]))
        if shared >= DUPLICATE_FRACTION * larger and a not in dropped:
            dropped.setdefault(b, a)
    kept = [d for i, d in enumerate(drafts) if i not in dropped]
    return kept, [(drafts[b].title, drafts[a].title) for b, a in sorted(dropped.items())]


def group_overlapping(drafts: Sequence[Draft]) -> list[int]:
    """The number of each document's group: declared groups, joined wherever documents overlap."""
    shingles = shingle([d.text for d in drafts])
    parent = list(range(len(drafts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(a: int, b: int) -> None:
        first, second = sorted((root(a), root(b)))
        parent[second] = first

    declared: dict[tuple[str, str], int] = {}
    for i, draft in enumerate(drafts):
        join(declared.setdefault((draft.source, draft.group), i), i)
    for (a, b), shared in sorted(overlaps(shingles).items()):
        fraction = shared / min(len(shingles[a]), len(shingles[b]))
        together = fraction >= SHARED_FRACTION and shared >= SHARED_COUNT
        if together or fraction >= SHARED_FRACTION_ALONE:
            join(a, b)
    return [root(i) for i in range(len(drafts))]


def choose_heldout(drafts: Sequence[Draft], groups: Sequence[int]) -> list[bool]:
    """Per document: held out or not.

    A source's groups are visited in the order of the SHA-256 of "source, newline, title" of their
    first document; they are taken until the held-out part reaches 5 % of the source's bytes (and at
    least 150 kB). A group larger than a quarter of that part (in Shakespeare, whose groups are
    whole plays, 60 %) always stays in the training text.
    """
    heldout: set[int] = set()
    for source in dict.fromkeys(d.source for d in drafts):
        sizes: Counter[int] = Counter()
        for draft, group in zip(drafts, groups, strict=True):
            if drafts[group].source == source:
                sizes[group] += draft.n_bytes
        target = max(HELDOUT_FRACTION * sum(sizes.values()), HELDOUT_BYTES)
        largest = target * (LARGEST_WORK if source == "shakespeare" else LARGEST_GROUP)
        taken = 0
        for group in sorted(sizes, key=lambda g: _key(drafts[g])):
            if taken < target and sizes[group] <= largest:
                heldout.add(group)
                taken += sizes[group]
    return [group in heldout for group in groups]


def seen_in_training(drafts: Sequence[Draft], heldout: Sequence[bool], n: int) -> dict[str, float]:
    """Per source: the fraction of its held-out part's distinct word n-grams that training has."""
    shingles = shingle([d.text for d in drafts], n)
    known = np.unique(np.concatenate([s for s, h in zip(shingles, heldout, strict=True) if not h]))
    fractions = {}
    for source in dict.fromkeys(d.source for d in drafts):
        rows = zip(drafts, shingles, heldout, strict=True)
        wanted = np.unique(np.concatenate([s for d, s, h in rows if h and d.source == source]))
        fractions[source] = float(np.isin(wanted, known, assume_unique=True).mean())
    return fractions


def _key(draft: Draft) -> str:
    return hashlib.sha256(f"{draft.source}\n{draft.title}".encode()).hexdigest()


def _word_ids(text: str, vocabulary: dict[str, int]) -> NDArray[np.uint64]:
    words = re.findall(r"\w+", text.lower())
    return np.array([vocabulary.setdefault(w, len(vocabulary)) for w in words], dtype=np.uint64)


def _hash_ngrams(ids: NDArray[np.uint64], n: int) -> Shingles:
    count = len(ids) - n + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    hashes = np.zeros(count, dtype=np.uint64)
    multiplier, shift, one = np.uint64(0x9E3779B97F4A7C15), np.uint64(29), np.uint64(1)
    for i in range(n):
        hashes = (hashes ^ (ids[i : i + count] + one)) * multiplier
        hashes ^= hashes >> shift
    return np.unique(hashes)
