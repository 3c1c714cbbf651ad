"""Generation: cached equals uncached, samplers keep what they should, seeds repeat."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.config import GPTConfig, Seq2SeqConfig
from llmbook.generate import (
    Reader,
    generate,
    keep_top_k,
    keep_top_p,
    next_token_distribution,
    probabilities,
    stream,
    text_stream,
)
from llmbook.models import GPT, Seq2Seq
from llmbook.tokenizers import BPETokenizer

CONFIG = GPTConfig(23, 13, 2, 2, 12)
PROMPT = torch.tensor([[3, 1, 4], [1, 5, 9]])


RAGGED = [[3, 1, 4, 1, 5], [9], [2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6], [2, 7]]

SAMPLERS = [
    {"temperature": 0.0}, {"temperature": 1.3}, {"top_k": 5}, {"top_p": 0.7}, {"min_p": 0.1},
    {"repetition_penalty": 1.5}, {"temperature": 0, "repetition_penalty": 1.9},
    {"temperature": 0.8, "top_k": 7, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.2},
]  # fmt: skip
KINDS = [
    {"position": "learned", "norm": "layernorm", "mlp": "gelu", "bias": True},
    {"position": "sinusoidal"}, {"position": "alibi"}, {"position": "none"},
    {"n_kv_head": 1}, {"window": 4}, {"position": "alibi", "window": 5, "n_kv_head": 1},
    {"mlp": "relu2", "n_expert": 3, "n_expert_active": 2},
]  # fmt: skip


def strong(model):
    """Weights so large that the distributions are far from even."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> GPT:
    return strong(GPT(CONFIG))


@pytest.mark.parametrize("settings", SAMPLERS)
def test_the_cache_changes_no_token_even_past_the_context(model, settings):
    drawn = [
        generate(model, PROMPT, max_new_tokens=20, seed=5, use_cache=cached, **settings)
        for cached in (True, False)
    ]
    assert drawn[0].shape == (2, 23)
    assert drawn[0].tolist() == drawn[1].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_changes_no_token_of_any_kind_of_decoder(kind):
    model = strong(GPT(CONFIG.replace(**kind)))
    for sampler in SAMPLERS[:2] + SAMPLERS[-1:]:
        drawn = [
            generate(model, PROMPT, max_new_tokens=20, seed=5, use_cache=cached, **sampler)
            for cached in (True, False)
        ]
        assert drawn[0].tolist() == drawn[1].tolist()


@pytest.mark.parametrize("settings", SAMPLERS)
def test_the_cache_changes_no_token_of_an_encoder_decoder(settings):
    model = strong(Seq2Seq(Seq2SeqConfig(23, 13, 2, 2, 12, n_decoder_layer=3)))
    source, start = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]), torch.tensor([[0], [0]])
    drawn = [
        generate(
            model.given(source), start, max_new_tokens=11, seed=5, use_cache=cached, **settings
        )
        for cached in (True, False)
    ]
    assert drawn[0].tolist() == drawn[1].tolist()
    text = start  # and both are what the whole model says, one token at a time
    for _ in range(11 if settings == {"temperature": 0.0} else 0):
        text = torch.cat([text, model(source, text)[:, -1:].argmax(-1)], dim=1)
        assert drawn[0][:, : text.shape[1]].tolist() == text.tolist()


@pytest.mark.parametrize("kind", [{}, *KINDS])
@pytest.mark.parametrize("cached", [True, False])
def test_each_of_several_prompts_gets_the_tokens_it_would_get_alone(kind, cached):
    """While it fits the context, when it outgrows it, and when it is too long from the start."""
    model = strong(GPT(CONFIG.replace(**kind)))
    seeds = [7, 5, 3, 2]
    for sampler in SAMPLERS[:1] + SAMPLERS[-1:]:
        common = {"max_new_tokens": 14, "use_cache": cached, **sampler}
        together = generate(model, RAGGED, seed=seeds, **common)
        for prompt, seed, row in zip(RAGGED, seeds, together, strict=True):
            alone = generate(model, torch.tensor([prompt]), seed=seed, **common)
            assert row == alone[0].tolist()


def test_rows_of_lists_end_where_they_stop(model):
    free = generate(model, RAGGED, max_new_tokens=9, temperature=0)
    stop_id = free[0][6]
    stopped = generate(model, RAGGED, max_new_tokens=9, temperature=0, stop_id=stop_id)
    for prompt, whole, row in zip(RAGGED, free, stopped, strict=True):
        new = whole[len(prompt) :]
        n = new.index(stop_id) + 1 if stop_id in new else 9
        assert row == whole[: len(prompt) + n]
    assert generate(model, RAGGED, max_new_tokens=0) == RAGGED


def test_a_stop_sequence_ends_a_row_only_when_it_is_whole_and_was_drawn(model):
    free = generate(model, PROMPT[:1], max_new_tokens=10, temperature=0)[0].tolist()
    stop = free[5:8]
    out = generate(model, PROMPT[:1], max_new_tokens=10, temperature=0, stop=[stop])
    first = next(n for n in range(6, 14) if free[n - 3 : n] == stop)
    assert out[0].tolist() == free[:first]
    in_the_prompt = generate(model, PROMPT[:1], max_new_tokens=4, seed=1, stop=[[3, 1], [1, 4]])
    assert in_the_prompt.shape[1] >= 5
    across = [free[2], free[3]]  # begins in the prompt
    out = generate(model, PROMPT[:1], max_new_tokens=1, temperature=0, stop=[across])
    assert out[0].tolist() == free[:4]


def test_of_several_stop_sequences_the_first_to_be_whole_ends_a_row(model):
    free = generate(model, PROMPT, max_new_tokens=10, temperature=0).tolist()
    stop = [free[0][5:7], free[1][4:7], [22, 22, 22, 21]]
    out = generate(model, PROMPT.tolist(), max_new_tokens=10, temperature=0, stop=stop)
    for row, whole in zip(out, free, strict=True):
        ends = [
            n for n in range(4, 14) for s in stop if n - 3 >= len(s) and whole[n - len(s) : n] == s
        ]
        assert row == whole[: min(ends, default=13)]


def test_a_row_s_own_seed_gives_the_same_draws_beside_any_neighbour(model):
    a = generate(model, PROMPT, max_new_tokens=9, seed=[4, 6])
    b = generate(model, PROMPT.flip(0), max_new_tokens=9, seed=[6, 4])
    assert a.tolist() == b.flip(0).tolist()
    one = generate(model, PROMPT[:1], max_new_tokens=9, seed=4)
    assert a[:1].tolist() == one.tolist()


@torch.no_grad()
def test_a_reader_reads_only_what_is_new_and_takes_back_what_it_is_told(model):
    read = Reader(model)
    text = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
    whole = model(text)
    for end, last in ((3, 1), (5, 2), (5, 2), (7, 1), (7, 7), (4, 4)):
        torch.testing.assert_close(read(text[:, :end], last), whole[:, end - last : end])
        assert read.cache.length == end
        read.rewind(end - 1)
        assert read.cache.length == end - 1
    read.reorder(torch.tensor([0, 0, 0]))
    torch.testing.assert_close(read(text.expand(3, -1)), whole[:, -1:].expand(3, -1, -1))
    assert Reader(copy.deepcopy(model).bfloat16())(text).dtype == torch.float32


def test_greedy_text_uses_no_random_numbers(model):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    generate(model, PROMPT, max_new_tokens=5, temperature=0)
    generate(model, PROMPT, max_new_tokens=5, seed=1)
    assert torch.equal(before, torch.get_rng_state())


class Scripted(torch.nn.Module):
    """A model that writes what it was told to, whatever it reads."""

    def __init__(self, tokenizer, ids):
        super().__init__()
        self.config = GPTConfig(tokenizer.vocab_size, 4096, 1, 1, 2)
        self.token_embedding = torch.nn.Embedding(1, 1)
        self.device = torch.device("cpu")
        self.script, self.n_read = ids, 0

    def forward(self, ids, *, cache=None):
        logits = torch.zeros(*ids.shape, self.config.vocab_size)
        logits[0, -1, self.script[self.n_read]] = 9.0
        self.n_read += 1
        return logits


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train("the cat sat on the mat, über alles 漢字 🙂 " * 9, vocab_size=300)


def written(tokenizer, ids, **settings):
    arguments = {"max_new_tokens": len(ids), "temperature": 0, "use_cache": False, **settings}
    return list(text_stream(Scripted(tokenizer, ids), tokenizer, "x", **arguments))


@given(text=st.text(max_size=20), stop=st.lists(st.text(min_size=1, max_size=3), max_size=3))
@settings(max_examples=100, deadline=None)
def test_streamed_pieces_are_the_text_before_the_first_stop_string(tokenizer, text, stop):
    ids = tokenizer.encode(text)
    pieces = written(tokenizer, ids, stop_text=stop)
    assert all(pieces)
    starts = (tokenizer.decode(ids[:n]).rstrip("\ufffd") for n in range(len(ids)))
    seen = next((start for start in starts if any(s in start for s in stop)), text)
    cut = min((seen.index(s) for s in stop if s in seen), default=len(text))
    assert "".join(pieces) == text[:cut]


def test_no_piece_holds_half_a_character(tokenizer):
    text = "漢字🙂é"
    single = [i for byte in text.encode() for i in byte_ids(tokenizer, byte)]
    assert written(tokenizer, single) == list(text)
    assert "".join(written(tokenizer, tokenizer.encode(text))) == text
    assert "".join(written(tokenizer, single[:-1])) == "漢字🙂"  # half an é at the end is left out
    broken = byte_ids(tokenizer, 0xE6) + byte_ids(tokenizer, ord("a"))
    assert "".join(written(tokenizer, broken)) == "\ufffda"  # not half a character: no character


def byte_ids(tokenizer, byte):
    return [i for i in range(256) if tokenizer.token_bytes(i) == bytes([byte])]


def test_text_ends_at_end_of_text_and_shows_no_special_token(tokenizer):
    end = tokenizer.end_of_text_id
    ids = [*tokenizer.encode("the cat"), end, *tokenizer.encode(" sat")]
    assert "".join(written(tokenizer, ids)) == "the cat"
    assert "".join(written(tokenizer, ids, stop_id=None)) == "the cat sat"
    assert written(tokenizer, ids[:2], stop_text=[]) != []
    with pytest.raises(ValueError, match="a stop string is empty"):
        written(tokenizer, ids, stop_text=[""])


def test_what_may_be_a_stop_string_is_held_back_until_that_is_known(tokenizer):
    ids = [i for char in "ab###c##" for i in tokenizer.encode(char)]
    assert written(tokenizer, ids, stop_text=["###c!", "##c"]) == ["a", "b", "#"]
    assert written(tokenizer, ids, stop_text=["####"]) == ["a", "b", "###c", "##"]


def test_a_model_in_double_precision_has_a_cache_in_double_precision(model):
    precise = copy.deepcopy(model).double()
    drawn = [
        generate(precise, PROMPT, max_new_tokens=5, temperature=0, use_cache=cached)
        for cached in (True, False)
    ]
    assert drawn[0].tolist() == drawn[1].tolist()


def test_greedy_takes_the_most_probable_token_each_time(model):
    out = generate(model, PROMPT[:1], max_new_tokens=4, temperature=0)
    for n in range(3, 7):
        assert out[0, n] == next_token_distribution(model, out[:, :n]).argmax()


def test_a_seed_repeats_and_another_differs(model):
    draws = [generate(model, PROMPT, max_new_tokens=9, seed=s).tolist() for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_samples_follow_the_distribution(model):
    expected = next_token_distribution(model, PROMPT[:1], temperature=1.5)
    prompts = PROMPT[:1].expand(20_000, -1)
    drawn = generate(model, prompts, max_new_tokens=1, temperature=1.5, seed=0)[:, -1]
    observed = torch.bincount(drawn, minlength=23).double()
    statistic = ((observed - 20_000 * expected) ** 2 / (20_000 * expected)).sum()
    assert statistic < 48.3  # chi-square with 22 degrees of freedom exceeds it once in a thousand


def test_a_row_that_drew_the_stop_id_stays_stopped_and_all_stopped_ends(model):
    free = generate(model, PROMPT, max_new_tokens=9, temperature=0)
    stop = int(free[0, 4])
    out = generate(model, PROMPT, max_new_tokens=9, temperature=0, stop_id=stop)
    assert out.shape[1] <= 12
    assert (out[0, 4:] == stop).all()


def test_streaming_yields_the_tokens_of_generate(model):
    tokens = list(stream(model, PROMPT, max_new_tokens=6, seed=3))
    whole = generate(model, PROMPT, max_new_tokens=6, seed=3)
    assert torch.stack(tokens, dim=1).tolist() == whole[:, 3:].tolist()


def test_top_k_keeps_the_k_largest():
    kept = keep_top_k(torch.tensor([[1.0, 5.0, 3.0, 2.0]]), 2)
    assert kept.tolist() == [[-math.inf, 5.0, 3.0, -math.inf]]
    assert keep_top_k(torch.ones(1, 3), 9).tolist() == [[1.0, 1.0, 1.0]]


def test_top_p_keeps_the_token_that_crosses_the_threshold():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert keep_top_p(logits, 0.6).isfinite().tolist() == [[True, True, False, False]]
    assert keep_top_p(logits, 0.01).isfinite().tolist() == [[True, False, False, False]]
    assert keep_top_p(logits, 1.0).isfinite().all()


@given(values=st.lists(st.floats(-8, 8), min_size=2, max_size=12), p=st.floats(0.01, 1.0))
@settings(max_examples=100, deadline=None)
def test_the_nucleus_reaches_p_and_none_of_its_tokens_is_needless(values, p):
    logits = torch.tensor([values], dtype=torch.float64)
    inside = keep_top_p(logits, p).isfinite()[0]
    mass = logits.softmax(-1)[0][inside]
    assert mass.sum() >= p - 1e-9
    assert mass.sum() - mass.min() < p + 1e-9


def test_temperature_sharpens_flattens_and_has_a_limit_at_zero():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    cold, warm, hot = (probabilities(logits, t)[0, 0] for t in (0.5, 1.0, 100.0))
    assert cold > warm > hot > 1 / 3
    assert probabilities(logits, 0).tolist() == [[1.0, 0.0, 0.0]]
    torch.testing.assert_close(probabilities(logits, 2.0), (logits / 2).softmax(-1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"ids": torch.zeros(1, 0, dtype=torch.long)}, "at least one token"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1"),
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.1}, "top_p=1.1"),
        ({"ids": []}, "at least one row"),
        ({"ids": [[1], []]}, "at least one token"),
        ({"seed": [1, 2, 3]}, "3 seeds for 2 rows"),
        ({"stop": [[1], []]}, "a stop sequence is empty"),
    ],
)
def test_settings_out_of_range_are_refused(model, bad, message):
    arguments = {"ids": PROMPT, "max_new_tokens": 2, **bad}
    with pytest.raises(ValueError, match=message):
        generate(model, arguments.pop("ids"), **arguments)


def test_the_distribution_is_the_softmax_itself_unless_a_temperature_is_given():
    torch.manual_seed(0)
    model = GPT(GPTConfig(11, 8, 1, 2, 8)).eval()
    ids = torch.tensor([[1, 2, 3]])
    expected = model(ids)[0, -1].softmax(-1)
    torch.testing.assert_close(next_token_distribution(model, ids), expected)
