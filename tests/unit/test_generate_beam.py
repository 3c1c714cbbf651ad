"""Beam search: the reference library's texts and scores, and exhaustive search where it is wide."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from llmbook.config import GPTConfig, Seq2SeqConfig
from llmbook.generate import beam_search
from llmbook.models import GPT, Seq2Seq

V, N_NEW, STOP = 5, 3, 2
CONFIG = GPTConfig(V, 13, 2, 2, 12, position="learned", norm="layernorm", mlp="gelu", bias=True)
PROMPT = torch.tensor([[3, 1, 4]])


def strong(model, seed=0):
    """Weights so large that the distributions are far from even."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> GPT:
    return strong(GPT(CONFIG))


def log_probability(model, text):
    logits = model(text[None])[0].log_softmax(-1)
    n_prompt = PROMPT.shape[1]
    return sum(float(logits[i - 1, text[i]]) for i in range(n_prompt, len(text)))


def every_text(stop_id):
    """All texts of at most N_NEW new tokens that end with the stop token or at full length."""
    for n in range(1, N_NEW + 1):
        for new in itertools.product(range(V), repeat=n):
            if stop_id not in new[:-1] and (n == N_NEW or new[-1] == stop_id):
                yield torch.tensor([*PROMPT[0].tolist(), *new])


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("stop_id", [None, STOP])
@torch.no_grad()
def test_a_beam_that_is_wide_enough_is_an_exhaustive_search(model, stop_id, length_penalty):
    found = beam_search(
        model, PROMPT, n_beams=V**N_NEW, max_new_tokens=N_NEW, length_penalty=length_penalty,
        stop_id=stop_id,
    )  # fmt: skip
    expected = [
        (log_probability(model, text) / (len(text) - 3) ** length_penalty, text.tolist())
        for text in every_text(stop_id)
    ]
    expected.sort(reverse=True)
    assert [beam.ids.tolist() for beam in found] == [text for _, text in expected]
    scores = torch.tensor([beam.score for beam in found])
    torch.testing.assert_close(scores, torch.tensor([s for s, _ in expected]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_texts_and_scores_are_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=7, n_positions=31, n_embd=12, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=2, pad_token_id=2, initializer_range=1.0,
    )  # fmt: skip

    class Peer(torch.nn.Module):
        """The library's model, called as ours are."""

        def __init__(self, peer):
            super().__init__()
            self.peer, self.device = peer, torch.device("cpu")
            self.config = GPTConfig(7, 31, 2, 2, 12)
            self.token_embedding = peer.transformer.wte

        def forward(self, ids, *, cache=None):
            return self.peer(ids).logits

    compared = 0
    for seed, n_beams, penalty in itertools.product(range(8), (2, 3, 5), (0.0, 1.0, 1.7)):
        torch.manual_seed(seed)
        peer = transformers.GPT2LMHeadModel(config).eval()
        prompt = torch.randint(7, (1, 3))
        theirs = peer.generate(
            prompt, num_beams=n_beams, max_new_tokens=11, length_penalty=penalty, do_sample=False,
            num_return_sequences=n_beams, return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        ours = beam_search(
            Peer(peer), prompt, n_beams=n_beams, max_new_tokens=11, length_penalty=penalty,
            stop_id=2, use_cache=False,
        )  # fmt: skip
        scores = torch.tensor([beam.score for beam in ours])
        torch.testing.assert_close(scores, theirs.sequences_scores, rtol=1e-4, atol=1e-4)
        for beam, text in zip(ours, theirs.sequences.tolist(), strict=True):
            assert text[: len(beam.ids)] == beam.ids.tolist()
            assert set(text[len(beam.ids) :]) <= {2}
            compared += 1
    assert compared == 8 * 3 * (2 + 3 + 5)


@pytest.mark.parametrize("changes", [{}, {"position": "rope", "n_kv_head": 1}, {"window": 3}])
def test_the_cache_changes_no_beam_even_past_the_context(changes):
    model = strong(GPT(CONFIG.replace(**changes)))
    found = [
        beam_search(model, PROMPT, n_beams=7, max_new_tokens=17, stop_id=STOP, use_cache=cached)
        for cached in (True, False)
    ]
    assert [b.ids.tolist() for b in found[0]] == [b.ids.tolist() for b in found[1]]
    for a, b in zip(*found, strict=True):
        assert a.score == pytest.approx(b.score, rel=1e-4)


def test_one_search_serves_the_encoder_decoder():
    model = strong(Seq2Seq(Seq2SeqConfig(V, 13, 2, 2, 12, n_decoder_layer=3)))
    source = torch.tensor([[1, 4, 2, 0, 3, 3, 1]])
    start = torch.tensor([[0]])
    with torch.no_grad():
        found = beam_search(
            model.given(source), start, n_beams=V**N_NEW, max_new_tokens=N_NEW, stop_id=None,
            length_penalty=0.0,
        )  # fmt: skip
        for beam in found[:3] + found[-3:]:
            logits = model(source, beam.ids[None])[0].log_softmax(-1)
            score = sum(float(logits[i, beam.ids[i + 1]]) for i in range(N_NEW))
            assert beam.score == pytest.approx(score, rel=1e-4)
    assert len({tuple(b.ids.tolist()) for b in found}) == V**N_NEW
    assert sum(math.exp(b.score) for b in found) == pytest.approx(1, rel=1e-4)


def test_a_wider_beam_that_ends_at_full_length_finds_nothing_worse():
    for seed in range(5):
        model = strong(GPT(CONFIG), seed)
        best = [
            beam_search(model, PROMPT, n_beams=n, max_new_tokens=4)[0].score for n in (1, 25, 625)
        ]
        assert best[2] >= best[1] - 1e-5
        assert best[2] >= best[0] - 1e-5


@pytest.mark.parametrize(
    "bad",
    [
        {"ids": torch.zeros(1, 0, dtype=torch.long)},
        {"n_beams": 0},
        {"max_new_tokens": 0},
    ],
)
def test_what_cannot_be_searched_is_refused(model, bad):
    arguments = {"ids": PROMPT, "n_beams": 2, "max_new_tokens": 2, **bad}
    with pytest.raises(ValueError, match="give one prompt"):
        beam_search(model, arguments.pop("ids"), **arguments)
