"""Regular expressions, read into a tree: the part of the language that has a finite automaton."""

from __future__ import annotations

import itertools
import string
from dataclasses import dataclass

Range = tuple[int, int]
MAX_CODE_POINT = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)  # code points that are no characters, and have no UTF-8


@dataclass(frozen=True)
class Chars:
    """Any one character of these ranges of code points, ends included."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Seq:
    """One after the other. Without parts: the empty text."""

    parts: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Alt:
    """One of them. Without parts: no text at all."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """From ``low`` to ``high`` times; None means without end."""

    part: Node
    low: int
    high: int | None


Node = Chars | Seq | Alt | Repeat
EMPTY, NOTHING = Seq(), Alt(())


def union(ranges: list[Range]) -> tuple[Range, ...]:
    """The same characters in ascending ranges that do not touch."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: list[Range]) -> tuple[Range, ...]:
    """Every other character of Unicode."""
    edges = [(-1, -1), *union([*ranges, SURROGATES]), (MAX_CODE_POINT + 1, MAX_CODE_POINT + 1)]
    gaps = itertools.pairwise(edges)
    return tuple((a[1] + 1, b[0] - 1) for a, b in gaps if a[1] + 1 < b[0])


def literal(text: str) -> Seq:
    """Exactly this text."""
    return Seq(tuple(Chars(((ord(char), ord(char)),)) for char in text))


_DIGIT = [(48, 57)]
_WORD = [(48, 57), (65, 90), (95, 95), (97, 122)]
_SPACE = [(9, 13), (32, 32)]
_CLASSES = {
    **{"d": tuple(_DIGIT), "w": tuple(_WORD), "s": tuple(_SPACE)},
    **{"D": complement(_DIGIT), "W": complement(_WORD), "S": complement(_SPACE)},
}
_CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


def parse(pattern: str) -> Node:
    r"""Read a regular expression.

    Understood: characters, ``.``, classes ``[a-z]`` and ``[^…]``, the escapes ``\d \w \s`` and
    ``\D \W \S`` (ASCII, as with ``re.ASCII``), ``\n \t \r \f \v \xhh \uhhhh \Uhhhhhhhh`` and an
    escaped sign, groups ``(…)`` and ``(?:…)``, ``|``, and ``* + ? {m} {m,} {,n} {m,n}``. The
    pattern describes the whole text, as in ``re.fullmatch``.

    Raises:
        ValueError: anything else, by name: anchors, look-around, back-references, lazy repeats.

    Source: Thompson 1968. Taught in chapter 14.
    """
    try:
        return _Parser(pattern).whole()
    except RecursionError:
        raise ValueError("the pattern's groups are nested too deeply") from None


class _Parser:
    """Recursive descent: one method for each level of precedence."""

    def __init__(self, pattern: str) -> None:
        self.text, self.at = pattern, 0

    def whole(self) -> Node:
        node = self._alternatives()
        if self.at < len(self.text):
            raise self._error("a ) that closes no group")
        return node

    def _alternatives(self) -> Node:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Alt(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            part = self._repeated(self._atom())
            parts += [part] if part != EMPTY else []
        return parts[0] if len(parts) == 1 else Seq(tuple(parts))

    def _atom(self) -> Node:
        if self._take("("):
            if self._peek() == "?" and not self._take("?:"):
                raise self._error(f"the group ({self.text[self.at : self.at + 2]}…)")
            node = self._alternatives()
            if not self._take(")"):
                raise self._error("a group without its )")
            return node
        if self._take("["):
            return self._class()
        if self._take("."):
            return Chars(complement([(10, 10)]))
        if self._peek() in ("^", "$"):
            raise self._error(f"the anchor {self._peek()} (the whole text is matched anyway)")
        if self._peek() in ("*", "+", "?", "{"):
            raise self._error(f"{self._peek()} with nothing to repeat (a sign is written \\ first)")
        return Chars(self._character())

    def _repeated(self, node: Node) -> Node:
        signs = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self._peek() in signs:
            low, high = signs[self._next()]
        elif self._take("{"):
            low, high = self._bounds()
        else:
            return node
        if self._peek() in ("*", "+", "?", "{"):
            raise self._error(f"{self._peek()} after a repeat (lazy, possessive or doubled)")
        return Repeat(node, low, high) if node != EMPTY else EMPTY

    def _bounds(self) -> tuple[int, int | None]:
        inside, closed, _ = self.text[self.at :].partition("}")
        first, comma, second = inside.partition(",")
        numbers = [n for n in (first, second) if n]
        if not closed or not numbers or not all(n.isascii() and n.isdigit() for n in numbers):
            raise self._error(f"the repeat {{{inside} (a brace is written \\{{)")
        self.at += len(inside) + 1
        low = int(first or 0)
        high = int(second) if second else None if comma else low
        if high is not None and high < low:
            raise self._error(f"the repeat {{{inside}}}, which ends before it begins")
        return low, high

    def _class(self) -> Node:
        negated, ranges, first = self._take("^"), list[Range](), True
        while first or not self._take("]"):
            if not self._peek():
                raise self._error("a class without its ]")
            first, low = False, self._character()
            ends = self.text[self.at + 1 : self.at + 2] in ("", "]")
            if len(low) == 1 and low[0][0] == low[0][1] and not ends and self._take("-"):
                high = self._character()
                if len(high) > 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise self._error("a range of characters with no end after its beginning")
                low = ((low[0][0], high[0][0]),)
            ranges += low
        # Twice the complement leaves surrogates out of what was written.
        others = complement(ranges)
        return Chars(others if negated else complement(list(others)))

    def _character(self) -> tuple[Range, ...]:
        char = self._next()
        if char != "\\":
            return ((ord(char), ord(char)),)
        char, code = self._next(), -1
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _HEX_DIGITS:
            digits = self.text[self.at : self.at + _HEX_DIGITS[char]]
            self.at += len(digits)
            if len(digits) == _HEX_DIGITS[char] and set(digits) <= set(string.hexdigits):
                code = int(digits, 16)
        elif char in _CONTROLS or (char and not char.isalnum()):
            code = _CONTROLS.get(char, ord(char))
        if not 0 <= code <= MAX_CODE_POINT or SURROGATES[0] <= code <= SURROGATES[1]:
            raise self._error(f"the escape \\{char}")
        return ((code, code),)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _next(self) -> str:
        char = self._peek()
        self.at += 1
        return char

    def _take(self, expected: str) -> bool:
        found = self.text.startswith(expected, self.at)
        self.at += len(expected) * found
        return found

    def _error(self, what: str) -> ValueError:
        return ValueError(f"the pattern {self.text!r} has at {self.at} {what}: not supported")
