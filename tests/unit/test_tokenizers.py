"""Tokenizers: merges worked by hand, the Hugging Face library's ids, and nothing lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmbook.tokenizers import BPETokenizer, CharTokenizer
from llmbook.tokenizers.bytes_alphabet import BYTE_TO_CHAR, from_printable, to_printable
from llmbook.tokenizers.merging import join_pair, learn_merges

TEXT = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
    "must be in want of a wife. In 1813 it cost 18 shillings; we'll say it's cheap.\n\n"
    "  Two spaces, naïve café, 世界是美好的地方 — 🙂🙂👩‍👩‍👧.\tTabs\r\nand lines\n"
) * 3
HARD = [
    "",
    " ",
    "   a   b   ",
    "\n\n \t\r\n",
    "don't we'll I'M",
    "x" * 500,
    "1234567890" * 5,
    "العربية والعبرية עברית",
    "한국어와 日本語",
    "e\u0301 \u200d \u202e \ufeff \x00\x01",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "def f(x):\n    return x**2  # square\n",
    "<|endoftext|>",
]


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return BPETokenizer.train(TEXT, vocab_size=400)


def test_the_most_frequent_pair_is_joined_first_as_worked_by_hand():
    words = {(0, 1, 2): 3, (0, 1): 2, (1, 2): 4}  # pair (1, 2) occurs 7 times, (0, 1) 5 times
    assert learn_merges(words, n_merges=2, first_id=3) == [(1, 2), (0, 3)]  # then 0·12: 3, 01: 2


def test_of_equally_frequent_pairs_the_smaller_wins():
    assert learn_merges({(5, 4): 2, (2, 9): 2}, n_merges=1, first_id=10) == [(2, 9)]


def test_learning_stops_where_no_pair_occurs_twice():
    assert learn_merges({(1, 2): 1}, n_merges=5, first_id=3) == []


def test_overlapping_pairs_are_joined_from_the_left():
    assert join_pair([7, 7, 7], (7, 7), 8) == [8, 7]


def test_the_alphabet_has_a_printable_character_for_every_byte():
    assert len(set(BYTE_TO_CHAR.values())) == 256
    assert BYTE_TO_CHAR[ord(" ")] == "Ġ"
    assert from_printable(to_printable(bytes(range(256)))) == bytes(range(256))
    with pytest.raises(ValueError, match="not a letter"):
        from_printable("a b")


@given(st.text())
@example("\x00\U0010ffff")
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back_unchanged(text):
    tokenizer = _shared()
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_the_hugging_face_library_gives_the_same_ids_for_any_text(text):
    assert _shared_reference().encode(text, add_special_tokens=False).ids == _shared().encode(text)


@pytest.mark.parametrize("text", [t for t in HARD if "<|" not in t])
def test_hard_texts_give_the_reference_ids_and_come_back(text):
    assert _shared_reference().encode(text).ids == _shared().encode(text)
    assert _shared().decode(_shared().encode(text)) == text


def test_training_finds_the_same_merges_as_the_hugging_face_library(bpe):
    tokenizers = pytest.importorskip("tokenizers")
    reference = tokenizers.Tokenizer(tokenizers.models.BPE())
    reference.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=399,
        min_frequency=2,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    reference.train_from_iterator([TEXT], trainer)
    theirs = json.loads(reference.to_str())["model"]["merges"]
    names = [to_printable(bpe.token_bytes(i)) for i in range(bpe.end_of_text_id)]
    assert [[names[a], names[b]] for a, b in bpe.merges] == [list(m) for m in theirs]


def test_every_token_id_decodes_and_the_sizes_add_up(bpe):
    assert bpe.vocab_size == 256 + len(bpe.merges) + 1
    assert bpe.end_of_text_id == bpe.vocab_size - 1
    for i in range(bpe.vocab_size):
        assert bpe.token_bytes(i)
        assert bpe.token_str(i)


def test_the_end_of_text_is_never_read_from_text_and_never_written(bpe):
    assert bpe.end_of_text_id not in bpe.encode("<|endoftext|>")
    assert bpe.decode([*bpe.encode("a"), bpe.end_of_text_id, *bpe.encode("b")]) == "ab"


def test_spaces_and_line_breaks_can_be_seen(bpe):
    assert bpe.token_str(bpe.encode(" truth")[0]).startswith("␣")
    assert bpe.token_str(bpe.encode("\n")[0]) == "⏎"


def test_saving_and_loading_keeps_every_id(bpe, tmp_path):
    bpe.save(tmp_path / "tokenizer.json")
    assert BPETokenizer.load(tmp_path / "tokenizer.json").merges == bpe.merges


def test_bad_input_names_the_value_and_the_remedy(bpe, tmp_path):
    with pytest.raises(ValueError, match="lone surrogate"):
        bpe.encode("half \ud83d")
    with pytest.raises(ValueError, match="outside the vocabulary"):
        bpe.decode([bpe.vocab_size])
    with pytest.raises(ValueError, match="at least 257"):
        BPETokenizer.train("abc", vocab_size=256)
    with pytest.raises(ValueError, match="merge 0 joins ids 0 and 256"):
        BPETokenizer([(0, 256)])
    with pytest.raises(FileNotFoundError):
        BPETokenizer.load(tmp_path / "none.json")


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_gives_one_clear_error(data, tmp_path_factory):
    text = _saved_text()
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, 200))
    filler = data.draw(st.sampled_from(["", "0", '"', "[", "null", "\x00", "9" * 50, "é"]))
    path = tmp_path_factory.mktemp("damaged") / "tokenizer.json"
    path.write_text(text[:start] + filler + text[start + length :], encoding="utf-8")
    tokenizer, message = None, ""
    try:
        tokenizer = BPETokenizer.load(path)
    except ValueError as error:
        message = str(error)
    if tokenizer is None:
        assert str(path) in message
    else:  # the damage fell on something that does not matter
        assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_characters_come_back_and_unknown_ones_are_refused(tmp_path):
    tokenizer = CharTokenizer.train(["abba", "cab"])
    assert tokenizer.characters == ["a", "b", "c"]
    assert tokenizer.encode("cab") == [2, 0, 1]
    assert tokenizer.decode([2, 0, 1]) == "cab"
    tokenizer.save(tmp_path / "characters.json")
    assert CharTokenizer.load(tmp_path / "characters.json").characters == tokenizer.characters
    with pytest.raises(ValueError, match="'z' was not in the training text"):
        tokenizer.encode("z")
    with pytest.raises(ValueError, match="token id 3 is outside"):
        tokenizer.decode([3])
    with pytest.raises(ValueError, match="each single character once"):
        CharTokenizer(["a", "a"])
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(ValueError, match="not a saved CharTokenizer"):
        CharTokenizer.load(tmp_path / "bad.json")


_CACHE: dict = {}


def _shared() -> BPETokenizer:
    if "bpe" not in _CACHE:
        _CACHE["bpe"] = BPETokenizer.train(TEXT, vocab_size=400)
    return _CACHE["bpe"]


def _saved_text() -> str:
    if "text" not in _CACHE:
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            _shared().save(Path(folder) / "t.json")
            _CACHE["text"] = (Path(folder) / "t.json").read_text(encoding="utf-8")
    return _CACHE["text"]


def _shared_reference():
    tokenizers = pytest.importorskip("tokenizers")
    if "reference" not in _CACHE:
        _CACHE["reference"] = tokenizers.Tokenizer.from_str(_saved_text())
    return _CACHE["reference"]


def test_a_saved_file_says_that_end_of_text_is_special(tmp_path):
    path = tmp_path / "tokenizer.json"
    BPETokenizer.train("to be or not to be " * 9, vocab_size=270).save(path)
    library = pytest.importorskip("tokenizers").Tokenizer.from_file(str(path))
    end = library.token_to_id("<|endoftext|>")
    assert library.decode([end]) == ""
    assert library.decode([end], skip_special_tokens=False) == "<|endoftext|>"
