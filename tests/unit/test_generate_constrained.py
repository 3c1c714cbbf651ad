"""Constrained decoding: the output matches, always and in time; what is not understood is named."""

from __future__ import annotations

import itertools
import json
import re

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmbook.config import GPTConfig
from llmbook.generate import Constraint, generate, text_stream
from llmbook.generate.automaton import DEAD, DFA, NFA, utf8_ranges
from llmbook.generate.json_schema import schema_node
from llmbook.generate.regex import complement, parse
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer

MANY = 100_000  # tokens: no limit


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    text = 'the cat sat on {"name": "mat", "age": 12, "tags": ["a", "bb"]}, true false null é漢字 '
    return BPETokenizer.train(text * 9, vocab_size=331)


@pytest.fixture(scope="module")
def model(tokenizer) -> GPT:
    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size, 64, 1, 1, 8)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return model


def accepts(node, text: str) -> bool:
    """Whether the automaton of a pattern reads the whole text."""
    dfa = DFA(NFA(node))
    state = torch.tensor([dfa.start]).numpy()
    for byte in text.encode():
        state = dfa.step(state, torch.tensor([byte]).numpy())
    return dfa.accepts(int(state[0]))


# the automaton --------------------------------------------------------------------------------

PATTERNS = [
    "", "a", "abc", "a|bc|", "(a|b)*abb", "a?b+c*", "(?:ab){2,3}", "a{,2}b{1,}", "a{3}", "[a-c]x",
    "[^a-c]x", "[]a]+", "[^]a]", "[a-]", "[-a]+", r"\d+\.\d{2}", r"\w+\s\w+", r"\W\S\D", r"[\d_x]+",
    r"[^\w]", ".", "..", "é+|漢字", "[à-ü]{2}", r"\x41é\U0001F642", r"\.\*\[\]\{\}\\\^\$",
    r"a\tb\nc", "(a*)*", "(a|a)*", "((a?)+b?)*", "(|a)+", "x(y(z|w)?)?", "[🙂-🙄]", r"[\x00-é]",
    "a{0}b",
]  # fmt: skip
TEXTS = [
    "", "a", "b", "ab", "abc", "abb", "aabb", "babb", "bc", "ababab", "abab", "aab", "bb", "aaa",
    "ax", "dx", "]", "]]a", "-", "a-", "3.14", "12.5", "ab cd", "ab", "!x!", " a!", "_1x", "é",
    "éé",
    "漢字", "漢", "\n", "\n\n", "AéU🙂", "Aé🙂", ".*[]{}\\^$", "a\tb\nc", "aaaa", "x", "xy", "xyz",
    "xyw", "🙃", "🙅",
    "\x00", "\x7f", "ê", "\u0660", "\xa0", "!ab", "b" * 7,
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_automaton_accepts_what_re_matches(pattern):
    node, expected = parse(pattern), re.compile(pattern, re.ASCII)
    for text in TEXTS:
        assert accepts(node, text) == bool(expected.fullmatch(text)), text


def patterns():
    """Patterns of every construct, over few letters so that texts meet them."""
    atom = st.sampled_from(
        ["a", "b", "é", "漢", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[ab]", "[^a]",
         "[^é-漢]",
         "[a-é]", "[0-9b]", r"\.", r"\n", "🙂", r"[\x80-\xff]", "(?:)"]
    )  # fmt: skip
    repeat = st.sampled_from(["*", "+", "?", "{2}", "{,2}", "{1,3}", "{0,1}", "{2,}"])
    return st.recursive(
        atom,
        lambda inner: st.one_of(
            st.builds("({}|{})".format, inner, inner),
            st.builds("{}{}".format, inner, inner),
            st.builds("(?:{}){}".format, inner, repeat),
        ),
        max_leaves=7,
    )


@given(pattern=patterns(), text=st.text("abé漢🙂0 .\n\x80", max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_pattern_accepts_what_re_matches(pattern, text):
    assert accepts(parse(pattern), text) == bool(re.fullmatch(pattern, text, re.ASCII))


@given(pattern=patterns(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_pattern_accepts_the_texts_made_from_it(pattern, data):
    assert accepts(
        parse(pattern), data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    )


@given(st.tuples(*[st.integers(0, 0x10FFFF)] * 2).map(sorted))
@settings(max_examples=200, deadline=None)
def test_byte_ranges_are_the_utf8_of_just_these_characters(ends):
    ranges = complement(list(complement([tuple(ends)])))  # without surrogates
    spelled = [s for low, high in ranges for s in utf8_ranges(low, high)]
    n = sum(len(range(lo, hi + 1)) for lo, hi in ranges)
    total = 0
    for parts in spelled:
        size = 1
        for low, high in parts:
            size *= high - low + 1
        total += size
        first = bytes(low for low, _ in parts).decode()
        last = bytes(high for _, high in parts).decode()
        assert any(lo <= ord(first) <= ord(last) <= hi for lo, hi in ranges)
    assert total == n


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("^a", "the anchor ^"), ("a$", "the anchor $"), (r"\ba", r"the escape \b"),
        ("(?=a)", "the group (?=…)"), ("(?P<x>a)", "the group (?P…)"), ("(?i)a", "the group (?i…)"),
        (r"(a)\1", r"the escape \1"), (r"\p{L}", r"the escape \p"), (r"\Z", r"the escape \Z"),
        ("a*?", "? after a repeat"), ("a++", "+ after a repeat"), ("a{2}{3}", "{ after a repeat"),
        ("*a", "* with nothing to repeat"), ("a|+", "+ with nothing to repeat"),
        ("{2}", "{ with nothing to repeat"), ("(a", "a group without its )"),
        ("a)", "a ) that closes no group"), ("[a", "a class without its ]"),
        ("[z-a]", "a range of characters"), (r"[\d-z]", None), (r"[a-\d]", "a range of characters"),
        ("a{x}", "the repeat {x"), ("a{3,2}", "which ends before it begins"), ("a{2",
         "the repeat {2"),
        ("a{,}", "the repeat {,"), (r"\xg0", r"the escape \x"), (r"\u12", r"the escape \u"),
        (r"\ud800", r"the escape \u"), (r"\U00110000", r"the escape \U"), ("a\\", "the escape \\"),
        ("(" * 5000, "nested too deeply"), ("(((a{999}){999}){999})", "states"),
        ("(((){9}()){9999}){999999999}", None),
    ],
)  # fmt: skip
def test_a_construct_that_is_not_understood_is_named(pattern, message):
    if message is None:
        NFA(parse(pattern))
        return
    with pytest.raises(ValueError, match=re.escape(message)):
        NFA(parse(pattern))


# tokens ---------------------------------------------------------------------------------------


def every_text(constraint, tokenizer, n_left, state=None):
    """All texts that the masks let through within so many tokens."""
    state = constraint.start(1, n_left) if state is None else state
    mask = constraint.allowed(state, n_left, torch.zeros(1, tokenizer.vocab_size))[0]
    for token in mask.nonzero()[:, 0].tolist():
        if token == tokenizer.end_of_text_id:
            yield b""
        elif n_left > 0:
            after = constraint.advance(state, torch.tensor([token]))
            assert after != [DEAD]
            for rest in every_text(constraint, tokenizer, n_left - 1, after):
                yield tokenizer.token_bytes(token) + rest


def test_the_masks_let_through_exactly_the_texts_that_match(tokenizer):
    pattern = "(the|cat|[ab]é?){1,2}"
    found = {t.decode() for t in every_text(Constraint.regex(pattern, tokenizer), tokenizer, 20)}
    words = ["the", "cat", "a", "b", "aé", "bé"]
    assert found == {*words, *map("".join, itertools.product(words, words))}


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 5])
def test_within_a_limit_only_texts_that_fit_are_begun(tokenizer, n_tokens):
    constraint = Constraint.regex("a+|the cat", tokenizer)
    texts = {t.decode() for t in every_text(constraint, tokenizer, n_tokens)}
    assert all(re.fullmatch("a+|the cat", text) for text in texts)
    assert {"a" * n for n in range(1, n_tokens + 1)} <= texts
    assert "a" * (n_tokens + 1) not in texts


def test_an_ending_counts_as_many_tokens_as_the_vocabulary_needs(tokenizer):
    word = max(
        (tokenizer.token_bytes(i) for i in range(256, tokenizer.end_of_text_id)), key=len
    ).decode()
    assert len(word.encode()) >= 4
    assert fits(Constraint.regex(re.escape(word) * 2, tokenizer), 2)
    assert not fits(Constraint.regex(re.escape(word) * 2, tokenizer), 1)


def fits(constraint, n_tokens) -> bool:
    """Whether generation begins at all."""
    try:
        return bool(constraint.start(1, n_tokens))
    except ValueError:
        return False


@given(pattern=patterns(), n_tokens=st.integers(0, 12), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_whatever_is_drawn_matches_however_few_tokens_there_are(
    model, tokenizer, pattern, n_tokens, seed
):
    constraint = Constraint.regex(pattern, tokenizer)
    arguments = {"max_new_tokens": n_tokens, "seed": seed, "temperature": 2.0}
    assume(fits(constraint, n_tokens))
    text = "".join(text_stream(model, tokenizer, "x", constraint=constraint, **arguments))
    assert re.fullmatch(pattern, text, re.ASCII)


@pytest.mark.parametrize(
    "sampler",
    [{"temperature": 0}, {"top_k": 1}, {"top_p": 0.1}, {"min_p": 1.0}, {"repetition_penalty": 3.0}],
)
def test_every_sampler_keeps_to_the_pattern_in_a_ragged_batch(model, tokenizer, sampler):
    constraint = Constraint.regex(r"(the|cat|\d)( [a-z]{2,9}){1,3}\.", tokenizer)
    prompts = [[5, 7, 11], [2], [3, 1, 4, 1, 5]]
    for row, prompt in zip(
        generate(model, prompts, max_new_tokens=17, constraint=constraint, seed=3, **sampler),
        prompts, strict=True,
    ):  # fmt: skip
        text = tokenizer.decode(row[len(prompt) :])
        assert re.fullmatch(r"(the|cat|\d)( [a-z]{2,9}){1,3}\.", text)
        assert row.count(tokenizer.end_of_text_id) <= 1
        alone = generate(model, [prompt], max_new_tokens=17, constraint=constraint, seed=3)
        assert len(alone) == 1


def test_end_of_text_comes_only_where_the_text_matches_and_special_tokens_never(tokenizer):
    constraint, end = Constraint.regex("ab?", tokenizer), tokenizer.end_of_text_id
    zeros = torch.zeros(1, tokenizer.vocab_size + 3)  # a model may have more rows than tokens
    state = constraint.start(1, 5)
    assert constraint.allowed(state, 5, zeros)[0].nonzero()[:, 0].tolist() == tokenizer.encode("a")
    state = constraint.advance(state, torch.tensor(tokenizer.encode("a")))
    after_a = constraint.allowed(state, 4, zeros)[0].nonzero()[:, 0].tolist()
    assert after_a == sorted([*tokenizer.encode("b"), end])
    state = constraint.advance(state, torch.tensor(tokenizer.encode("b")))
    assert constraint.allowed(state, 3, zeros)[0].nonzero()[:, 0].tolist() == [end]
    state = constraint.advance(state, torch.tensor([end]))
    assert state == [DEAD]
    assert constraint.allowed(state, 3, zeros)[0].nonzero()[:, 0].tolist() == [end]
    anything = Constraint.regex(r"(.|\n)*", tokenizer)
    assert not anything.allowed(anything.start(1, 9), 9, zeros)[0, end + 1 :].any()


def test_a_pattern_that_cannot_be_written_is_refused(tokenizer):
    with pytest.raises(ValueError, match="no text that this vocabulary can spell"):
        Constraint.regex(r"a[^\x00-\U0010ffff]", tokenizer).start(1, MANY)
    with pytest.raises(ValueError, match="max_new_tokens=3: a match needs 4 tokens"):
        Constraint.regex("Z{4}", tokenizer).start(1, 3)
    letters = BPETokenizer(
        [], tokens=[b"a", b"b", b"<end>"], special={"<end>": 2}, end_of_text="<end>"
    )
    assert Constraint.regex("[a-z]x?b{2}", letters).start(1, 3)
    with pytest.raises(ValueError, match="no text that this vocabulary can spell"):
        Constraint.regex("ax", letters).start(1, MANY)


# JSON -----------------------------------------------------------------------------------------

PERSON = {
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "age": {"type": "integer", "description": "in years"},
        "plan": {"enum": ["free", "pro", 3, None]},
        "tags": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z]+$"},
            "maxItems": 2,
        },
        "on": {"type": "boolean"},
    },
    "required": ["age", "tags"],
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": ["number", "null"]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "integer"}, ["0", "-7", "123"], ["01", "1.0", "+1", "", "1e3", " 1"]),
        ({"type": "number"}, ["0", "-0.5", "1e3", "2.5E-07"], [".5", "1.", "1e", "NaN", "0x1"]),
        ({"type": ["null", "boolean"]}, ["null", "true", "false"], ["nul", "True", '"null"']),
        ({"type": "string"}, ['""', '"é漢"', r'"a\"b\\c\n"', '"/"'], ['"', '"a"b"', '"\n"',
         r'"\x"', "a"]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ['"ab"', r'"\"\\é"'], ['"a"',
         '"abcd"']),
        ({"type": "string", "pattern": "^a.c$"}, ['"abc"', r'"a\"c"'], ['"abcd"', '"a"c"',
         '"xabc"']),
        ({"type": "string", "pattern": "b"}, ['"b"', '"abc"'], ['"ac"']),
        ({"type": "string", "pattern": r"^\$$"}, ['"$"'], ['""', '"a"']),
        ({"type": "string", "pattern": r"^a\\$"}, [r'"a\\"'], ['"a"', r'"a\\b"']),
        ({"type": "string", "pattern": "^a b.$"}, ['"a b "', '"a bc"'], ['"a\tb "', '"ab "']),
        ({"const": {"a": [1, "x\n"]}}, [r'{"a": [1, "x\n"]}'], ["{}"]),
        ({"enum": [1, "a", None, True], "type": ["string", "null"]}, ['"a"', "null"], ["1",
         "true"]),
        ({"type": "array", "items": {"type": "null"}}, ["[]", "[null]", "[null, null]"],
         ["[null,]", "[,]"]),
        ({"type": "array", "items": {"const": 1}, "minItems": 2, "maxItems": 3},
         ["[1, 1]", "[1, 1, 1]"], ["[1]", "[1, 1, 1, 1]", "[]"]),
        ({"type": "array", "items": {"const": 1}, "maxItems": 0}, ["[]"], ["[1]"]),
        ({"type": "array", "items": False}, ["[]"], ["[1]"]),
        ({"type": "object", "additionalProperties": False}, ["{}"], ['{"a": 1}']),
        ({"type": "object", "additionalProperties": {"const": 1}}, ["{}", '{"x": 1, "y": 1}'],
         ['{"x": 2}']),
        ({"anyOf": [{"const": 1}, {"type": "null"}]}, ["1", "null"], ["2"]),
        (PERSON,
         ['{"age": 3, "tags": []}',
          '{"name": "é", "age": -1, "plan": null, "tags": ["a", "bc"], "on": true}'],
         ["{}", '{"tags": [], "age": 3}', '{"age": 3, "tags": [], }', '{, "age": 3, "tags": []}',
          '{"name": "", "age": 3, "tags": []}', '{"age": 3, "tags": ["A"]}']),
        ({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}},
         ["{}", '{"a": 1}', '{"b": 2}', '{"a": 1, "b": 2}'], ['{"b": 2, "a": 1}', '{"a": 1,}']),
        (TREE, ['{"value": 1}', '{"value": null, "children": [{"value": 2, "children": []}]}'],
         ['{"children": []}']),
        ({}, ["1", '"a"', "[]", '{"a": [1, {"b": null}]}'], ["", "a"]),
        (True, ["1"], [""]),
    ],
)  # fmt: skip
def test_a_schema_accepts_the_json_that_it_should(schema, valid, invalid):
    jsonschema = pytest.importorskip("jsonschema")
    node = schema_node(schema)
    for text in valid:
        jsonschema.validate(json.loads(text), schema)
        assert accepts(node, text), text
    for text in invalid:
        assert not accepts(node, text), text


def schemas():
    """Schemas of every keyword that is understood."""
    names = st.sampled_from(["a", "b", 'q"', "é", "name"])
    leaf = st.one_of(
        st.sampled_from([{"type": t} for t in ("string", "integer", "number", "boolean", "null")]),
        st.just({"type": ["integer", "string"]}),
        st.builds(lambda m, n: {"type": "string", "minLength": m, "maxLength": m + n},
        *[st.integers(0, 3)] * 2),
        st.sampled_from([r"^[a-c]{1,3}$", r"\d\"", r'^"?\\$', ".é"]).map(
            lambda p: {"type": "string", "pattern": p}
        ),
        st.lists(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=2), min_size=1,
        max_size=3).map(
            lambda v: {"enum": v}
        ),
    )  # fmt: skip

    def grow(inner):
        return st.one_of(
            st.builds(
                lambda s, m, n: {"type": "array", "items": s, "minItems": m, "maxItems": m + n},
                inner, st.integers(0, 2), st.integers(0, 2),
            ),
            st.lists(inner, min_size=1, max_size=2).map(lambda s: {"anyOf": s}),
            inner.map(lambda s: {"type": "object", "additionalProperties": s}),
            st.dictionaries(names, inner, min_size=1, max_size=3).flatmap(
                lambda p: st.sets(st.sampled_from(sorted(p))).map(
                    lambda r: {"type": "object", "properties": p, "required": sorted(r)}
                )
            ),
        )  # fmt: skip

    return st.recursive(leaf, grow, max_leaves=4)


@given(schema=schemas(), n_more=st.integers(0, 30), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_whatever_is_drawn_is_json_that_the_schema_allows(model, tokenizer, schema, n_more, seed):
    jsonschema = pytest.importorskip("jsonschema")
    constraint = Constraint.json_schema(schema, tokenizer)
    with pytest.raises(ValueError, match="a match needs") as refused:
        constraint.start(1, 0)
    n_tokens = int(re.search(r"needs (\d+)", str(refused.value))[1]) + n_more
    text = "".join(
        text_stream(
            model, tokenizer, "x", max_new_tokens=n_tokens, seed=seed, constraint=constraint
        )
    )
    jsonschema.validate(json.loads(text), schema)
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "integer", "minimum": 3}, "'minimum' is not supported"),
        ({"type": "string", "format": "date"}, "'format' is not supported"),
        ({"type": "string", "pattern": "a", "minLength": 3}, "'minLength' is not supported"),
        ({"type": "string", "pattern": "a^b"}, r"the anchor \^"),
        ({"oneOf": [{}]}, "'oneOf' is not supported"),
        ({"type": "array", "prefixItems": []}, "'prefixItems' is not supported"),
        ({"type": "array", "uniqueItems": True}, "'uniqueItems' is not supported"),
        ({"anyOf": [{}], "type": "null"}, "'type' is not supported in a JSON schema beside"),
        ({"const": 1, "minimum": 1}, "'minimum' is not supported"),
        ({"$ref": "#/nowhere"}, "names nothing"), ({"$ref": "other.json"}, "names nothing"),
        ({"$ref": "#"}, "allows no value"), ({"$ref": 3}, "malformed|names nothing"),
        ({"type": "objekt"}, "objekt"), ({"type": []}, "give one of"), ({"type": {}}, "type={}"),
        ({"type": [["null"]]}, "give one of"), ({"properties": {}}, "give one of"),
        ({"type": "object", "properties": {"a": {}}, "required": ["b"]}, "required names 'b'"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "allows no value"),
        ({"type": "object", "properties": 3}, "malformed"), ({"enum": 3}, "malformed"),
        ({"type": "object", "properties": [1]}, "malformed"), ({"anyOf": 1}, "malformed"),
        ({"type": "string", "pattern": 7}, "malformed"), ({"enum": [1e999]}, "JSON"),
        ({"type": "string", "minLength": -1}, "minLength=-1"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "maxLength=2"),
        ({"type": "string", "maxLength": "x"}, "maxLength='x'"),
        ({"type": "array", "minItems": None}, "minItems=None"),
        (False, "allows no value"), ({"enum": []}, "allows no value"), ({"anyOf": []},
         "allows no value"),
        ([], "is no schema"), ("x", "is no schema"), (None, "is no schema"),
    ],
)  # fmt: skip
def test_a_schema_that_is_not_understood_is_refused_by_name(schema, message):
    with pytest.raises(ValueError, match=message):
        schema_node(schema)


def test_a_schema_may_refer_to_itself_only_so_deep():
    tree = {"value": 1, "children": []}
    for depth in range(4):
        assert accepts(schema_node(TREE, depth=3), json.dumps(tree)) == (depth <= 2)
        tree = {"value": 1, "children": [tree]}
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    with pytest.raises(ValueError, match="allows no value that nests up to 3 deep"):
        schema_node(endless)
