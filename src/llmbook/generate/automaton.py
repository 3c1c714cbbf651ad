"""From a pattern to an automaton over bytes, whose table is made row by row when it is needed."""

from __future__ import annotations

import itertools

import numpy as np

from llmbook.generate.regex import Alt, Chars, Node, Repeat, Seq

DEAD = 0  # the state from which no text can match any more
MAX_STATES = 100_000


class NFA:
    """States with edges that read a byte of a range, and edges that read nothing.

    State 0 is the start; ``accept`` is the one that ends a match.

    Raises:
        ValueError: a pattern whose repeats unfold to too many states.

    Source: Thompson 1968. Taught in chapter 14.
    """

    def __init__(self, node: Node) -> None:
        self.edges: list[list[tuple[int, int, int]]] = []  # state -> (low byte, high byte, next)
        self.free: list[list[int]] = []  # state -> next states that cost no byte
        self.accept = self._build(node, self._new())

    def closure(self, states: list[int]) -> frozenset[int]:
        """What can be reached without a byte; only states that read one or accept are kept."""
        seen, stack = set(states), list(states)
        while stack:
            for state in self.free[stack.pop()]:
                if state not in seen:
                    seen.add(state)
                    stack.append(state)
        return frozenset(s for s in seen if self.edges[s] or s == self.accept)

    def _build(self, node: Node, start: int) -> int:
        """Add the states of a node after ``start`` and return the one where it ends."""
        match node:
            case Chars(ranges):
                end = self._new()
                for low, high in ranges:
                    for spelled in utf8_ranges(low, high):
                        self._spell(spelled, start, end)
                return end
            case Seq(parts):
                for part in parts:
                    start = self._build(part, start)
                return start
            case Alt(parts):
                end = self._new()
                for part in parts:
                    self.free[self._build(part, start)].append(end)
                return end
            case Repeat(part, low, high):
                for _ in range(low):
                    start = self._build(part, start)
                if high is None:
                    hub = self._new()
                    self.free[start].append(hub)
                    self.free[self._build(part, hub)].append(hub)
                    return hub
                end = self._new()
                for _ in range(high - low):
                    self.free[start].append(end)
                    start = self._build(part, start)
                self.free[start].append(end)
                return end

    def _spell(self, spelled: list[tuple[int, int]], start: int, end: int) -> None:
        for low, high in spelled[:-1]:
            middle = self._new()
            self.edges[start].append((low, high, middle))
            start = middle
        self.edges[start].append((*spelled[-1], end))

    def _new(self) -> int:
        if len(self.edges) >= MAX_STATES:
            raise ValueError(f"the pattern needs over {MAX_STATES:,} states: repeat less often")
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1


class DFA:
    """The NFA with one state at a time: each stands for the set of NFA states one may be in.

    A pattern can have exponentially many such sets, of which a text meets few: a row of the
    table is computed when it is asked for.

    Source: Rabin and Scott 1959; lazily as in Cox 2007. Taught in chapter 14.
    """

    def __init__(self, nfa: NFA) -> None:
        self.nfa = nfa
        self.members: list[frozenset[int]] = []
        self._ids: dict[frozenset[int], int] = {}
        self._table = np.full((16, 256), -1, dtype=np.int32)
        self.state(frozenset())  # DEAD
        self.start = self.state(nfa.closure([0]))

    def state(self, members: frozenset[int]) -> int:
        """The number of a set of NFA states."""
        if members not in self._ids:
            self._ids[members] = len(self.members)
            self.members.append(members)
        return self._ids[members]

    def accepts(self, state: int) -> bool:
        """Whether the text read so far is a match."""
        return self.nfa.accept in self.members[state]

    def step(self, states: np.ndarray, read: np.ndarray) -> np.ndarray:
        """The state after each of ``states`` has read the byte beside it."""
        for state in np.flatnonzero(np.bincount(states)):
            if state >= len(self._table):
                grown = np.full((2 * len(self.members), 256), -1, dtype=np.int32)
                grown[: len(self._table)] = self._table
                self._table = grown
            if self._table[state, 0] < 0:
                self._table[state] = self._row(int(state))
        return self._table[states, read]

    def _row(self, state: int) -> np.ndarray:
        edges = [edge for member in self.members[state] for edge in self.nfa.edges[member]]
        borders = sorted({0, 256, *(e[0] for e in edges), *(e[1] + 1 for e in edges)})
        row = np.zeros(256, dtype=np.int32)
        for low, high in itertools.pairwise(borders):  # one answer between borders
            targets = [target for first, last, target in edges if first <= low <= last]
            row[low:high] = self.state(self.nfa.closure(targets))
        return row


def utf8_ranges(low: int, high: int) -> list[list[tuple[int, int]]]:
    """Byte ranges whose sequences are the UTF-8 of the code points from low to high.

    A range is cut until its characters begin alike and end in all ways that bytes can.

    Source: Cox 2010 (RE2).
    """
    for last in (0x7F, 0x7FF, 0xFFFF):  # the last character of one, two and three bytes
        if low <= last < high:
            return [*utf8_ranges(low, last), *utf8_ranges(last + 1, high)]
    for n_free in range(1, len(chr(low).encode())):  # each byte but the first holds six bits
        bits = (1 << 6 * n_free) - 1
        if low | bits != high | bits and (low & bits or high & bits != bits):
            cut = (low | bits) + 1 if low & bits else high & ~bits
            return [*utf8_ranges(low, cut - 1), *utf8_ranges(cut, high)]
    return [list(zip(chr(low).encode(), chr(high).encode(), strict=True))]
