"""What chapter 4 ships and replays: the verse, and the recorded runs with the code behind them."""

from __future__ import annotations

import hashlib
import itertools
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

from build_song_verse import AUTHORS, CLEAN, mark_heldout, runs
from llmbook.config import GPTConfig
from llmbook.models import GPT, NGramModel
from llmbook.tokenizers import BPETokenizer
from llmbook.web.shannon import ALPHABET, symbols
from record_ngrams import _places, repeated, seen_matches
from record_shannon_game import BOUNDARY, TokenBytes, fold, next_bytes, symbol

ROOT = Path(__file__).resolve().parents[2]
VERSE = ROOT / "src/llmbook/assets/song_verse"


def recorded(name: str) -> dict:
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


# ---- the verse


def test_the_verse_is_the_file_that_its_manifest_names_and_holds_what_it_counts():
    manifest = json.loads((VERSE / "manifest.json").read_text(encoding="utf-8"))
    packed = (VERSE / manifest["file"]).read_bytes()
    assert hashlib.sha256(packed).hexdigest() == manifest["sha256"]
    assert len(packed) < 600_000
    poems = [json.loads(line) for line in lzma.decompress(packed).decode().splitlines()]
    assert len(poems) == manifest["poems"] == len({p["text"] for p in poems})
    assert sum(p["split"] == "heldout" for p in poems) == manifest["heldout_poems"]
    assert {p["author"] for p in poems} == set(AUTHORS)
    assert all(CLEAN.fullmatch(p["text"]) for p in poems)
    assert "MIT License" in (VERSE / "NOTICE.md").read_text(encoding="utf-8")


def test_no_held_out_poem_shares_a_run_of_eight_characters_with_the_training_text():
    lines = lzma.decompress((VERSE / "verse.jsonl.xz").read_bytes()).decode().splitlines()
    poems = [json.loads(line) for line in lines]
    train = set().union(*(runs(p["text"]) for p in poems if p["split"] == "train"))
    assert not any(runs(p["text"]) & train for p in poems if p["split"] == "heldout")


def test_a_poem_that_quotes_another_is_not_held_out():
    line = "一二三四五六七八九十"
    poems = [{"text": f"{chr(0x5000 + i)}{line}"} for i in range(53)]
    poems += [{"text": "".join(chr(0x6000 + 23 * i + k) for k in range(19))} for i in range(53)]
    mark_heldout(poems)
    assert all(p["split"] == "train" for p in poems[:53])
    assert 0 < sum(p["split"] == "heldout" for p in poems[53:]) < 20


# ---- what was seen before


def test_the_longest_known_context_and_ngram_are_those_of_a_search_in_the_text():
    rng = np.random.default_rng(0)
    train = np.append(rng.integers(1, 5, 67), 0)
    test = np.append(rng.integers(1, 5, 41), 0)
    model = NGramModel.train(train, order=4, vocab_size=5, boundary_id=0)
    known, hit = seen_matches(model, test)
    text = [0, *train.tolist()]
    grams = {tuple(text[i : i + n]) for n in range(1, 6) for i in range(len(text) - n + 1)}
    stream = [0, *test.tolist()]
    for t in range(len(test)):
        longest = min(3, t + 1)  # the boundary before the text is a context too
        before = [tuple(stream[t + 1 - n : t + 1]) for n in range(1, longest + 1)]
        after = [(*context, stream[t + 1]) for context in before]
        # A context is known when something followed it: the text ends with a boundary.
        follows = [any((*b, w) in grams for w in range(5)) for b in before]
        assert known[t] == max([0, *(len(b) for b, f in zip(before, follows, strict=True) if f)])
        assert hit[t] == max([1, *(len(a) for a in after if a in grams)])


def test_places_count_the_tokens_before_in_the_same_document():
    assert _places(np.array([5, 6, 0, 7, 0, 0, 8]), 0).tolist() == [0, 1, 2, 0, 1, 0, 0]


def test_repetition_is_looked_for_beyond_the_reach_of_the_ngram():
    #                   a  b  c  d  e  f  g  a  b  x | a
    tokens = np.array([1, 2, 3, 4, 5, 6, 7, 1, 2, 9, 1])
    assert repeated(tokens, np.array([0, 10, 11])).tolist() == [0] * 7 + [1, 2, 0, 0]
    near = np.array([1, 2, 1, 2])  # within five tokens: the n-gram sees that itself
    assert repeated(near, np.array([0, 4])).tolist() == [0, 0, 0, 0]


# ---- letters from a model of tokens


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    tokenizer = BPETokenizer.train("ab aab abab ba bab aabb " * 5, vocab_size=263)
    config = GPTConfig(
        vocab_size=tokenizer.vocab_size, context_length=32, n_layer=1, n_head=2, d_model=8
    )
    return GPT(config).double().eval(), tokenizer


def all_spellings(text: bytes, spelling: TokenBytes):
    """Every sequence of tokens that spells a text."""
    if not text:
        yield ()
    for end in range(1, len(text) + 1):
        token = spelling.whole.get(text[:end])
        if token is not None:
            yield from ((token, *rest) for rest in all_spellings(text[end:], spelling))


@torch.no_grad()
def test_the_probability_of_bytes_is_the_sum_over_all_ways_to_spell_them(tiny):
    model, tokenizer = tiny
    spelling, text = TokenBytes(tokenizer), b"abab"
    rows = list(next_bytes(model, spelling, text, context_length=32, least=0.0))
    found = np.prod([row[byte] for row, byte in zip(rows, text, strict=True)])

    def mass(tokens: tuple[int, ...]) -> float:
        ids = torch.tensor([[spelling.end_of_text, *tokens]])
        log_p = model(ids).log_softmax(dim=-1)[0]
        return float(torch.exp(sum(log_p[i, t] for i, t in enumerate(tokens))))

    # P(text) = Σ over spellings of a prefix, times the tokens that reach to its end or beyond.
    expected = 0.0
    for cut in range(len(text)):
        rest = text[cut:]
        ends = [t for t, s in enumerate(tokenizer._tokens) if s.startswith(rest)]
        for spelled in all_spellings(text[:cut], spelling):
            expected += sum(mass((*spelled, t)) for t in ends)
    assert found == pytest.approx(expected, rel=1e-9)
    assert all(row.sum() == pytest.approx(1) for row in rows)


def test_giving_up_unlikely_spellings_changes_next_to_nothing(tiny):
    model, tokenizer = tiny
    options = {"context_length": 32}
    exact = next_bytes(model, TokenBytes(tokenizer), b"aab ba", least=0.0, **options)
    rough = next_bytes(model, TokenBytes(tokenizer), b"aab ba", least=1e-6, **options)
    for a, b in zip(exact, rough, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_bytes_are_folded_into_27_symbols_whose_probabilities_sum_to_one():
    row = np.full(BOUNDARY + 1, 1 / (BOUNDARY + 1))
    row[ord("A")] += 3.0
    folded = fold(row)
    assert folded.sum() == pytest.approx(1)
    assert folded.argmax() == 0
    assert [symbol(ord(c)) for c in "aZ \n"] == [0, 25, 26, 26]
    assert symbol(ord(".")) is None


# ---- the records


def test_the_records_agree_with_those_of_chapter_12():
    evaluation, baselines = recorded("evaluation"), recorded("baselines")
    positions, scaling = recorded("ngram_positions"), recorded("ngram_scaling")
    hashes = {r["corpus_sha256"] for r in (evaluation, baselines, positions, scaling)}
    assert len(hashes) == 1
    for ours, theirs in (("ngram", "ngram"), ("model", "model")):
        assert positions["bits_per_byte"][ours] == pytest.approx(
            evaluation[theirs]["bits_per_byte"]["all"]["estimate"], abs=1e-4
        )
    last = scaling["rows"][-1]
    assert last["bits_per_byte"][4] == baselines["ngram"]["bits_per_byte"]["all"]["estimate"]
    assert last["n_ngrams"] == baselines["ngram"]["n_ngrams"]


def test_the_groups_of_every_table_are_a_partition_of_the_tokens():
    tables = recorded("ngram_positions")["tables"]
    everything = tables["all"][0]
    for rows in tables.values():
        assert sum(row["tokens"] for row in rows) == everything["tokens"]
        total = sum(row["tokens"] * row["difference"]["estimate"] for row in rows)
        assert total / everything["tokens"] == pytest.approx(
            everything["difference"]["estimate"], abs=1e-3
        )


def test_the_recorded_games_fit_their_texts():
    record = recorded("ngram_shannon")
    for passage in record["passages"]:
        wanted = symbols(passage["hidden"])
        for guesses in passage["guesses"].values():
            assert len(guesses) == len(wanted)
            assert all(sorted(g) == sorted(ALPHABET) for g in guesses)
    sample = record["sample"]
    lengths = {
        player: [len(line.split()) for line in lines] for player, lines in sample["ranks"].items()
    }
    assert len({tuple(n) for n in lengths.values()}) == 1
    assert sum(lengths["model"]) == sample["symbols"]
    ranks = itertools.chain.from_iterable(line.split() for line in sample["ranks"]["model"])
    assert {int(r) for r in ranks} <= set(range(1, 28))
