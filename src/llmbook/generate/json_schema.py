"""A JSON schema as a regular expression."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmbook.generate.regex import (
    EMPTY,
    NOTHING,
    Alt,
    Chars,
    Node,
    Repeat,
    Seq,
    complement,
    literal,
    parse,
)

DEPTH = 3
"""How often a schema may refer to itself, and how deep values nest that it leaves open."""

_ANNOTATIONS = {
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$schema", "$id", "$comment", "$defs", "definitions"),
}
_INTEGER = r"-?(0|[1-9]\d{0,14})"  # up to 15 digits: a double holds them exactly
_PLAIN = {
    "integer": parse(_INTEGER),
    "number": parse(_INTEGER + r"(\.\d{1,15})?([eE][+-]?\d{1,2})?"),
    "boolean": parse("true|false"),
    "null": parse("null"),
}
_KEYS: dict[str, set[str]] = {
    **{plain: set() for plain in _PLAIN},
    "string": {"minLength", "maxLength", "pattern"},
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
_TYPES: dict[type, str] = {
    **{str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"},
    **{list: "array", dict: "object"},
}


def schema_node(schema: Any, depth: int = DEPTH) -> Node:
    """The texts that a schema allows, spaced as `json.dumps` does, properties in their order.

    Understood: ``type`` (one or several) with ``minLength maxLength pattern`` of strings, ``items
    minItems maxItems`` of arrays, ``properties required additionalProperties`` of objects;
    ``enum``, ``const``, ``anyOf`` and ``$ref`` within the schema. Properties that the schema does
    not name are written only where it names none. Numbers have up to 15 digits on each side
    of the point and two in the exponent.

    Args:
        schema: as read from JSON.
        depth: see `DEPTH`.

    Raises:
        ValueError: any other keyword, by name, and a schema that allows nothing.

    Source: JSON Schema 2020-12; as a regular expression: Willard and Louf 2023.
    Taught in chapter 14.
    """
    try:
        node = _Reader(schema).node(schema, depth)
    except (TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"the JSON schema is malformed: {error}") from error
    if node == NOTHING:
        raise ValueError(f"the JSON schema allows no value that nests up to {depth} deep")
    return node


class _Reader:
    """Reads a schema and those that it refers to."""

    def __init__(self, root: Any) -> None:
        self.root = root

    def node(self, schema: Any, depth: int) -> Node:
        """The texts that one schema allows."""
        if schema is True:
            schema = {}
        if schema is False or depth < 0:
            return NOTHING
        if not isinstance(schema, Mapping):
            raise ValueError(f"{schema!r} in the JSON schema is no schema: give an object or true")
        keys = set(schema) - _ANNOTATIONS
        _refuse_others(keys, {"type", "$ref", "anyOf", "const", "enum"}.union(*_KEYS.values()))
        for key, read in (("$ref", self._ref), ("anyOf", self._any_of)):
            if key in keys:
                _refuse_others(keys, {key})
                return read(schema, depth)
        for key in keys & {"const", "enum"}:
            _refuse_others(keys, {key, "type"})
            return _enum(schema)
        types = schema.get("type", [*_KEYS] if not keys else [])
        types = [types] if isinstance(types, str) else types
        if not types or not all(isinstance(t, str) and t in _KEYS for t in types):
            raise ValueError(f"type={types!r} in the JSON schema: give one of {sorted(_KEYS)}")
        _refuse_others(keys, {"type"}.union(*(_KEYS[t] for t in types)))
        long = {"string": self._string, "array": self._array, "object": self._object}
        return _alt(*(_PLAIN[t] if t in _PLAIN else long[t](schema, depth) for t in types))

    def _ref(self, schema: Mapping[str, Any], depth: int) -> Node:
        found = self.root
        try:
            hash_, *path = schema["$ref"].split("/")
            for key in path:
                found = found[key]
        except (KeyError, TypeError, AttributeError):
            hash_ = ""
        if hash_ != "#":
            raise ValueError(f"$ref={schema['$ref']!r} names nothing within the JSON schema")
        return self.node(found, depth - 1)

    def _any_of(self, schema: Mapping[str, Any], depth: int) -> Node:
        return _alt(*(self.node(s, depth) for s in schema["anyOf"]))

    def _string(self, schema: Mapping[str, Any], depth: int) -> Node:
        if "pattern" not in schema:
            low, high = _bounds(schema, "minLength", "maxLength")
            return _seq(literal('"'), Repeat(CHARACTER, low, high), literal('"'))
        _refuse_others(set(schema) & {"pattern", "minLength", "maxLength"}, {"pattern"})
        pattern = schema["pattern"]
        anything = Repeat(CHARACTER, 0, None)
        before = EMPTY if pattern.startswith("^") else anything
        body = pattern.removeprefix("^").removesuffix("$")
        escapes = len(body) - len(body.rstrip("\\"))  # an odd one makes the $ a dollar
        after = EMPTY if pattern.endswith("$") and escapes % 2 == 0 else anything
        core = parse(body if after == EMPTY else pattern.removeprefix("^"))
        return _seq(literal('"'), before, _escaped(core), after, literal('"'))

    def _array(self, schema: Mapping[str, Any], depth: int) -> Node:
        low, high = _bounds(schema, "minItems", "maxItems")
        item = self.node(schema["items"], depth) if "items" in schema else self.node({}, depth - 1)
        return _seq(literal("["), _listed(item, low, high), literal("]"))

    def _object(self, schema: Mapping[str, Any], depth: int) -> Node:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        required = schema.get("required", [])
        unknown = set(required) - set(properties)
        if unknown:
            raise ValueError(f"required names {min(unknown)!r}, which is none of the properties")
        if properties:
            pairs = [
                (_seq(_spelled(name), literal(": "), self.node(s, depth)), name in required)
                for name, s in properties.items()
            ]
            return _seq(literal("{"), _some(pairs), literal("}"))
        value = self.node({}, depth - 1) if others is True else self.node(others, depth)
        pair = _seq(self._string({}, depth), literal(": "), value)
        return _seq(literal("{"), _listed(pair, 0, None), literal("}"))


def _escaped(node: Node) -> Node:
    """The same texts as they stand inside a JSON string."""
    match node:
        case Chars(ranges):
            signs = [*range(32), ord('"'), ord("\\")]
            plain = complement([*complement(list(ranges)), *((s, s) for s in signs)])
            inside = [s for s in signs if any(low <= s <= high for low, high in ranges)]
            return _alt(Chars(plain), *(literal(json.dumps(chr(s))[1:-1]) for s in inside))
        case Repeat(part, low, high):
            return Repeat(_escaped(part), low, high)
        case Seq(parts):
            return Seq(tuple(map(_escaped, parts)))
        case Alt(parts):
            return Alt(tuple(map(_escaped, parts)))


def _enum(schema: Mapping[str, Any]) -> Node:
    values = [schema["const"]] if "const" in schema else schema["enum"]
    types = schema.get("type", [*_KEYS])
    types = {types} if isinstance(types, str) else set(types)
    types |= {"integer"} if "number" in types else set()
    values = [v for v in values if _TYPES[type(v)] in types]
    return _alt(*map(_spelled, values))


def _spelled(value: Any) -> Node:
    return literal(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _listed(item: Node, low: int, high: int | None) -> Node:
    """From low to high items, with commas between them."""
    if item == NOTHING or high == 0:
        return NOTHING if low else EMPTY
    more = Repeat(_seq(literal(", "), item), max(low, 1) - 1, None if high is None else high - 1)
    return Repeat(_seq(item, more), min(low, 1), 1)


def _some(pairs: list[tuple[Node, bool]]) -> Node:
    """All the required ones, any of the others, in order, with commas between them."""
    choices: list[Node] = []
    for i, (first, required) in enumerate(pairs):
        rest = [Repeat(_seq(literal(", "), pair), int(must), 1) for pair, must in pairs[i + 1 :]]
        choices.append(_seq(first, *rest))
        if required:
            return _alt(*choices)
    return _alt(EMPTY, *choices)


def _seq(*parts: Node) -> Node:
    return NOTHING if NOTHING in parts else Seq(parts)


def _alt(*parts: Node) -> Node:
    return Alt(tuple(part for part in parts if part != NOTHING))


def _bounds(schema: Mapping[str, Any], low_key: str, high_key: str) -> tuple[int, int | None]:
    low, high = schema.get(low_key, 0), schema.get(high_key)
    whole = all(type(n) is int and n >= 0 for n in (low, high) if n is not None)
    if low is None or not whole or (high is not None and high < low):
        raise ValueError(f"{low_key}={low!r} and {high_key}={high!r}: give 0 ≤ least ≤ most")
    return low, high


def _refuse_others(keys: set[str], understood: set[str]) -> None:
    if keys - understood:
        raise ValueError(
            f"{min(keys - understood)!r} is not supported in a JSON schema"
            + (f" beside {sorted(understood & keys)}" if understood & keys else "")
        )


# Control characters without a short escape are left out: they have no business in a text.
CHARACTER = _escaped(Chars(complement([(0, 7), (11, 11), (14, 31)])))
