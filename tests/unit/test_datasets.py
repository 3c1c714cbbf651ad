"""The corpus is what its manifest says, the split leaks nothing, and batches repeat exactly."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.datasets import (
    SOURCES,
    Document,
    TokenBatches,
    corpus_manifest,
    load_corpus,
    load_table,
    load_tokens,
    tokenize_documents,
)
from llmbook.datasets.corpus import CORPUS_FOLDER
from llmbook.tokenizers import BPETokenizer, CharTokenizer

B, T, N = 3, 7, 101


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[Document]]:
    return {split: load_corpus(split) for split in ("train", "heldout")}


@pytest.fixture(scope="module")
def manifest() -> dict:
    return corpus_manifest()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with a corpus of three documents."""
    rows = [("austen", "One", "It is a truth.\n", "train"), ("bible", "Two", "Selah.\n", "train")]
    rows.append(("austen", "Three", "But it is.\n", "heldout"))
    return write_corpus(tmp_path / "corpus", rows)


def write_corpus(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    names = ("source", "title", "text", "split")
    lines = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    return write_raw(folder, lzma.compress(lines.encode()))


def write_raw(folder: Path, content: bytes) -> Path:
    """A corpus file whose hash the manifest has right, whatever it holds."""
    folder.mkdir(exist_ok=True)
    (folder / "c.xz").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({"file": "c.xz", "sha256": digest}))
    return folder


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


# The shipped corpus


def test_the_shipped_files_are_the_bytes_that_the_manifest_promises(manifest):
    content = (CORPUS_FOLDER / manifest["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest["sha256"]
    raw = lzma.decompress(content)
    assert hashlib.sha256(raw).hexdigest() == manifest["sha256_uncompressed"]
    for entry in manifest["sources"]:
        mark = f'{{"source": "{entry["source"]}"'.encode()
        mine = [line for line in raw.splitlines(keepends=True) if line.startswith(mark)]
        assert hashlib.sha256(b"".join(mine)).hexdigest() == entry["result_sha256"]


def test_the_manifest_counts_documents_and_bytes_as_they_are(corpus, manifest):
    for entry in manifest["sources"]:
        held = [d for d in corpus["heldout"] if d.source == entry["source"]]
        both = [d for d in corpus["train"] if d.source == entry["source"]] + held
        assert (len(both), sum(d.n_bytes for d in both)) == (entry["documents"], entry["bytes"])
        assert len(held) == entry["heldout_documents"]
        assert sum(d.n_bytes for d in held) == entry["heldout_bytes"]


def test_every_source_carries_its_licence_and_notice(manifest):
    notice = (CORPUS_FOLDER / "NOTICE.md").read_text(encoding="utf-8")
    assert [entry["source"] for entry in manifest["sources"]] == list(SOURCES)
    for entry in manifest["sources"]:
        assert entry["licence"]
        assert entry["notice"] in notice
        assert entry["licence_url"] in notice


def test_at_least_one_twentieth_of_every_source_is_held_out(manifest):
    for entry in manifest["sources"]:
        assert entry["heldout_bytes"] >= max(0.05 * entry["bytes"], 150_000)
        assert entry["heldout_bytes"] <= 0.08 * entry["bytes"]


def test_no_document_and_no_title_is_on_both_sides(corpus):
    for what in ("text", "title"):
        train, heldout = (
            {(d.source, getattr(d, what)) for d in corpus[split]} for split in ("train", "heldout")
        )
        assert not train & heldout


def test_titles_are_unique_within_a_source(corpus):
    titles = Counter((d.source, d.title) for side in corpus.values() for d in side)
    assert [title for title, count in titles.items() if count > 1] == []


def test_no_play_is_cut_between_training_and_held_out_text(corpus):
    works = {
        split: {
            d.title.split(":")[0]
            for d in corpus[split]
            if d.source == "shakespeare" and not d.title.startswith("THE SONNETS")
        }
        for split in corpus
    }
    assert len(works["heldout"]) >= 2
    assert not works["train"] & works["heldout"]


def test_held_out_text_cannot_be_recited_from_training_text(corpus):
    n = 13  # words; the length at which GPT-3's authors looked for contamination
    wanted: dict[tuple[str, ...], str] = {}
    for document in corpus["heldout"]:
        words = words_of(document.text)
        wanted |= {tuple(words[i : i + n]): document.source for i in range(len(words) - n + 1)}
    some_words = {(gram[0], gram[6], gram[12]) for gram in wanted}  # a quick first look
    seen = set()
    for document in corpus["train"]:
        words = words_of(document.text)
        for i, three in enumerate(zip(words, words[6:], words[12:], strict=False)):
            if three in some_words and tuple(words[i : i + n]) in wanted:
                seen.add(tuple(words[i : i + n]))
    total, found = Counter(wanted.values()), Counter(wanted[gram] for gram in seen)
    assert {source: found[source] / total[source] < 0.001 for source in SOURCES} == dict.fromkeys(
        SOURCES, True
    )


def test_the_text_is_clean(corpus):
    for document in [*corpus["train"], *corpus["heldout"]]:
        text = document.text
        assert text.strip(), document.title
        assert text.endswith("\n"), document.title
        assert not re.search(r"\r|\t|  |\n\n\n| \n|\n ", text), document.title
        assert "\0" not in text
        assert "Gutenberg" not in text or document.source == "wikipedia", document.title


def test_verse_keeps_its_lines_and_prose_is_one_line_a_paragraph(corpus):
    documents = {d.title: d.text for side in corpus.values() for d in side}
    assert "Shall I compare thee to a summer's day?\nThou art" in documents["THE SONNETS: 18"]
    opening = documents["Pride and Prejudice: Chapter 1"].split("\n\n")[1]
    assert opening.startswith("It is a truth universally acknowledged,")
    assert opening.endswith("must be in want of a wife.")
    assert "\n" not in opening
    assert "In the beginning, God created the heavens and the earth." in documents["Genesis 1"]
    assert "Yahweh, how my adversaries have increased!\nMany" in documents["Psalms 3"]


# Reading


def test_a_source_and_a_side_can_be_asked_for(small):
    assert load_corpus("heldout", folder=small) == [Document("austen", "Three", "But it is.\n")]
    assert [d.title for d in load_corpus("train", "bible", folder=small)] == ["Two"]
    assert load_corpus("train", "shakespeare", folder=small) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(("test",), "split='test': choose"), (("train", "joyce"), "source='joyce': choose")],
)
def test_what_the_corpus_does_not_have_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_corpus(*arguments)


@pytest.mark.parametrize("damage", ["truncated", "one byte changed", "empty"])
def test_a_damaged_corpus_is_one_error_with_the_file_and_the_remedy(small, damage):
    path = small / "c.xz"
    content = path.read_bytes()
    changed = content[:40] + bytes([content[40] ^ 1]) + content[41:]
    path.write_bytes({"truncated": content[:-9], "empty": b""}.get(damage, changed))
    with pytest.raises(ValueError, match=r"c\.xz is damaged or cut short .* restore") as caught:
        load_corpus("train", folder=small)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "content",
    [
        b"not xz at all",
        lzma.compress(b"not json\n"),
        lzma.compress(b'{"source": "austen"}\n'),
        lzma.compress(b'{"source": "a", "title": "b", "text": "c", "split": "secret"}\n'),
        lzma.compress(b"[1, 2]\n"),
        lzma.compress(b"\xff\xfe\n"),
        lzma.compress(b"x" * 1000)[:-20],
    ],
)
def test_a_hostile_file_with_the_right_hash_is_one_clear_error(tmp_path, content):
    folder = write_raw(tmp_path / "bad", content)
    with pytest.raises(ValueError, match=r"c\.xz is not a corpus file .* restore"):
        load_corpus("train", folder=folder)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("llmbook.datasets.corpus.MAX_CORPUS_BYTES", 10_000)
    folder = write_raw(tmp_path / "bomb", lzma.compress(b"\n" * 1_000_000))
    with pytest.raises(ValueError, match="unpacks to more than 10,000 bytes"):
        load_corpus("train", folder=folder)


def test_a_manifest_cannot_name_a_file_outside_its_folder(tmp_path):
    folder = write_raw(tmp_path / "inside", b"")
    secret = tmp_path / "c2.xz"
    secret.write_bytes(b"secret")
    (folder / "manifest.json").write_text('{"file": "../c2.xz", "sha256": ""}')
    with pytest.raises(FileNotFoundError, match=r"inside.c2\.xz is missing"):
        load_corpus("train", folder=folder)


def test_a_missing_or_broken_manifest_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manifest\.json is missing"):
        load_corpus("train", folder=tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match="does not name the corpus file"):
        load_corpus("train", folder=tmp_path)


# Tokens


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LLMBOOK_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_each_document_is_followed_by_end_of_text(small, cache):
    tokenizer = BPETokenizer.train("", 257)
    ids = load_tokens("train", tokenizer, folder=small)
    assert ids.dtype == np.uint16
    texts = bytes(tokenizer.token_bytes(i)[0] if i != 256 else 0 for i in ids.tolist()).split(b"\0")
    assert texts == [b"It is a truth.\n", b"Selah.\n", b""]
    documents = load_corpus("train", folder=small)
    again, starts = tokenize_documents(documents, tokenizer)
    np.testing.assert_array_equal(again, ids)
    assert starts.tolist() == [0, 16, 24]


def test_tokens_come_back_from_the_cache_and_a_damaged_one_is_made_anew(small, cache):
    tokenizer = BPETokenizer.train("it is it is", 260)
    first = load_tokens("train", tokenizer, folder=small)
    (path,) = cache.iterdir()
    content = path.read_bytes()
    for damaged in (content[:-2], content[:-1] + b"!", b""):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(load_tokens("train", tokenizer, folder=small), first)
        assert path.read_bytes() == content


def test_the_cache_knows_tokenizers_sides_sources_and_corpora_apart(small, cache, tmp_path):
    one, two = BPETokenizer.train("it is it is", 260), BPETokenizer.train("la la la", 260)
    other = write_corpus(tmp_path / "other", [("austen", "One", "Is it?\n", "train")])
    asked = [
        ("train", one, None, small),
        ("train", two, None, small),
        ("heldout", one, None, small),
        ("train", one, "bible", small),
        ("train", one, None, other),
    ]
    results = [load_tokens(s, t, source, folder=f).tolist() for s, t, source, f in asked]
    assert len(list(cache.iterdir())) == len(asked)
    assert results == [load_tokens(s, t, source, folder=f).tolist() for s, t, source, f in asked]
    assert len({tuple(r) for r in results}) == len(asked)


def test_a_cache_that_cannot_be_written_costs_only_time(small, cache):
    cache.write_text("a file where the folder should be")
    assert len(load_tokens("train", BPETokenizer.train("", 257), folder=small)) == 24


def test_a_tokenizer_without_an_end_of_text_is_refused(small, cache):
    with pytest.raises(ValueError, match="CharTokenizer has no end_of_text_id"):
        load_tokens("train", CharTokenizer.train("It is a truth.Selah\n"), folder=small)


def test_a_tokenizer_too_large_for_16_bits_is_refused(small, cache, monkeypatch):
    monkeypatch.setattr(BPETokenizer, "vocab_size", 2**16 + 1)
    with pytest.raises(ValueError, match="65,537 tokens, but ids are stored in 16 bits"):
        load_tokens("train", BPETokenizer.train("", 257), folder=small)


# Batches


@given(st.integers(0, 2**63), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_a_batch_is_windows_of_the_text_and_targets_are_one_token_on(seed, context_length):
    inputs, targets = next(TokenBatches(np.arange(N, dtype=np.uint16), context_length, B, seed))
    assert inputs.shape == targets.shape == (B, context_length)
    assert inputs.dtype == targets.dtype == torch.int64
    torch.testing.assert_close(targets, inputs + 1)
    torch.testing.assert_close(inputs[:, 1:], inputs[:, :-1] + 1)


def test_every_place_is_drawn_about_equally_often():
    batches = TokenBatches(np.arange(12), context_length=T, batch_size=1000, seed=5)
    starts = torch.cat([next(batches)[0][:, 0] for _ in range(10)])
    counts = torch.bincount(starts, minlength=5)  # 12 − 7 = 5 places
    assert len(counts) == 5
    assert (counts - 2000).abs().max() < 200  # five standard deviations


def test_a_resumed_stream_goes_on_as_if_never_interrupted():
    make = lambda: TokenBatches(np.arange(N), T, B, seed=11)  # noqa: E731
    whole, first, second = make(), make(), make()
    expected = [next(whole) for _ in range(7)]
    for _ in range(3):
        next(first)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for want, got in zip(expected[3:], second, strict=False):
        assert all(torch.equal(a, b) for a, b in zip(want, got, strict=True))


def test_the_first_batch_of_seed_zero_never_changes():
    # Recorded once: a change here would make every trained model irreproducible.
    inputs, _ = next(TokenBatches(np.arange(1000), T, B, seed=0))
    assert inputs[:, 0].tolist() == [374, 47, 786]


def test_other_seeds_and_other_steps_give_other_batches():
    draws = [next(TokenBatches(np.arange(10**6), T, B, seed)) for seed in range(5)]
    stream = TokenBatches(np.arange(10**6), T, B, 0)
    draws += [next(stream) for _ in range(5)][1:]
    assert len({tuple(inputs[:, 0].tolist()) for inputs, _ in draws}) == 9


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"context_length": 5}, {"batch_size": 2}, {"tokens": np.arange(N + 1)}]
)
def test_the_state_of_another_stream_is_refused(change):
    settings_ = {"tokens": np.arange(N), "context_length": T, "batch_size": B, "seed": 0}
    state = TokenBatches(**settings_).state_dict()
    with pytest.raises(ValueError, match="resume with the same data and settings"):
        TokenBatches(**{**settings_, **change}).load_state_dict(state)


@pytest.mark.parametrize("step", [-1, "3", None])
def test_a_state_without_a_count_of_batches_is_refused(step):
    batches = TokenBatches(np.arange(N), T, B)
    with pytest.raises(ValueError, match="expected a count of batches"):
        batches.load_state_dict({**batches.state_dict(), "step": step})


@pytest.mark.parametrize(
    ("tokens", "context_length", "batch_size", "seed", "complaint"),
    [
        (np.arange(T), T, B, 0, "7 tokens are too few for context_length=7: a window needs 8"),
        (np.zeros(0, np.uint16), 1, 1, 0, "0 tokens are too few"),
        (np.ones((4, 4), np.int64), 2, 1, 0, "one row of integer ids, got shape"),
        (np.ones(9), 2, 1, 0, "float64"),
        (np.arange(9), 0, 1, 0, "context_length=0"),
        (np.arange(9), 2, 0, 0, "batch_size=0"),
        (np.arange(9), 2, 1, -3, "seed=-3"),
    ],
)
def test_batches_that_cannot_be_are_refused(tokens, context_length, batch_size, seed, complaint):
    with pytest.raises(ValueError, match=complaint):
        TokenBatches(tokens, context_length, batch_size, seed)


def test_the_shortest_text_has_one_window():
    inputs, targets = next(TokenBatches(list(range(T + 1)), T, B, 0))
    assert inputs.tolist() == [list(range(T))] * B
    assert targets.tolist() == [list(range(1, T + 1))] * B


# Tables


def test_a_table_is_rows_of_text_by_column(tmp_path):
    (tmp_path / "toy.csv").write_text('model,note\nGPT,"a, b"\n', encoding="utf-8")
    assert load_table("toy", folder=tmp_path) == [{"model": "GPT", "note": "a, b"}]


def test_the_timeline_is_shipped():
    assert {"model", "date", "parameters"} <= set(load_table("timeline")[0])


def test_an_unknown_table_is_refused_with_those_there_are(tmp_path):
    shutil.copy(CORPUS_FOLDER / "manifest.json", tmp_path / "secret.json")
    for name in ("nothing", "../timeline", "secret"):
        with pytest.raises(ValueError, match="no table is called"):
            load_table(name, folder=tmp_path)


@pytest.mark.parametrize("row", ["1", "1,2,3"])
def test_a_ragged_table_is_refused_with_its_row(tmp_path, row):
    (tmp_path / "toy.csv").write_text(f"a,b\n1,2\n{row}\n")
    with pytest.raises(ValueError, match="row 2"):
        load_table("toy", folder=tmp_path)
