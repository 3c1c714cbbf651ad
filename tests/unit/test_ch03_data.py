"""The data of chapter 3: sentences that are parallel, and merges that are GPT-2's."""

from __future__ import annotations

import hashlib
import json
import lzma
import zlib
from pathlib import Path

import pytest
import regex

from build_gpt2_merges import OUT as GPT2
from build_gpt2_merges import BuildError, as_ids, load_merges, pack
from build_parallel import LANGUAGES, OUT, is_good, own_script, parallel_rows
from llmbook.tokenizers import BPETokenizer
from train_addition import Speller, batch_of, held_out, threes_from_left, threes_from_right

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    packed = (OUT / "sentences.jsonl.xz").read_bytes()
    return [json.loads(line) for line in lzma.decompress(packed).splitlines()]


@pytest.mark.parametrize("folder", [OUT, GPT2])
def test_the_shipped_file_is_the_one_in_its_manifest_and_in_the_notices(folder):
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    shipped = (folder / manifest["file"]).read_bytes()
    assert hashlib.sha256(shipped).hexdigest() == manifest["sha256"]
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text("utf-8")
    row = next(line for line in notices.splitlines() if f"`{manifest['source']['name']}`" in line)
    assert manifest["source"]["version"] in row
    assert manifest["source"]["licence"].split(" (")[0] in row
    assert (folder / "LICENSE").exists() or "Apache" in (folder / "NOTICE.md").read_text("utf-8")


def test_every_sentence_stands_in_all_twelve_languages_in_their_scripts(rows):
    assert len(rows) == 600
    assert len({row["en"] for row in rows}) == 600
    for row in rows:
        assert list(row) == list(LANGUAGES)
        assert is_good(row)
        assert not regex.search(r"[{}<>]", "".join(row.values()))


def test_sentences_without_a_translation_or_with_placeholders_are_left_out():
    good = {c: f"five words are in it {c}" for c in LANGUAGES}
    texts = {code: {"k": text} for code, text in good.items()}
    assert list(parallel_rows(texts)) == []  # Latin letters where Greek is wanted
    assert own_script("λόγος abc", "Greek") == pytest.approx(5 / 8)
    assert own_script("123", "Greek") == 0


def test_the_merges_give_the_ids_that_openai_published():
    gpt2 = BPETokenizer(load_merges())
    assert gpt2.vocab_size == 50257
    assert gpt2.encode("Hello world") == [15496, 995]
    assert gpt2.encode(" strawberry") == [41236]


def test_packing_keeps_every_pair_and_a_table_that_disagrees_is_refused():
    packed = (GPT2 / "merges.deflate").read_bytes()
    pairs = load_merges()
    assert zlib.decompress(pack(pairs), -15) == zlib.decompress(packed, -15)
    assert len(pairs) == 50_000
    with pytest.raises(BuildError, match="does not follow"):
        as_ids("#version: 0.2\na b\n", {"a": 0, "b": 1, "ab": 3})


def test_numbers_are_cut_in_threes_from_either_side():
    assert threes_from_left("12345") == ["123", "45"]
    assert threes_from_right("12345") == ["12", "345"]
    assert threes_from_right("123456") == ["123", "456"]


def test_a_sum_is_spelled_with_its_answer_last_piece_first_and_only_the_answer_is_learnt():
    speller = Speller("digits", list)
    ids, targets = batch_of(speller, [(7, 15), (340, 2)])
    names = {i: piece for piece, i in speller.ids.items()}
    assert [names[i] for i in ids[0, :8].tolist()] == list("7+15=22.")
    assert [names[i] for i in targets[1].tolist() if i >= 0] == list("243.")
    forwards = Speller("forwards", list)
    answer = forwards.answer(342)
    assert [{i: p for p, i in forwards.ids.items()}[i] for i in answer] == list("342.")


def test_about_a_tenth_of_all_sums_is_held_out():
    share = sum(held_out(a, b) for a in range(100) for b in range(100)) / 10_000
    assert 0.08 < share < 0.12
