"""Constrained decoding: a pattern says which tokens may come next."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmbook.generate.automaton import DEAD, DFA, NFA
from llmbook.generate.json_schema import schema_node
from llmbook.generate.regex import Node, parse
from llmbook.tokenizers import BPETokenizer

LONGEST = 32  # bytes of the tokens that a shortest ending is thought to be made of


class Constraint:
    """Lets through the tokens after which the text can still match, and match in time.

    A token is walked byte by byte through the automaton, all tokens at once; where each leads
    is kept for every state that a text has met. Special tokens never pass, except for
    end-of-text, which does where the text is a match.

    For every state an ending is known, and how many tokens spell it. A token passes if the
    tokens left suffice for the ending after it, so that no text is cut off before it matches.

    Source: Willard and Louf 2023, section 3. Taught in chapter 14.
    """

    def __init__(self, node: Node, tokenizer: BPETokenizer) -> None:
        special = set(tokenizer.special.values())
        ids = range(tokenizer.vocab_size)
        spelled = [b"" if i in special else tokenizer.token_bytes(i) for i in ids]
        width = max(map(len, spelled))
        padded = b"".join(token.ljust(width, b"\0") for token in spelled)
        self._bytes = np.frombuffer(padded, np.uint8).reshape(len(spelled), width)
        self._lengths = np.array([len(token) for token in spelled])
        self._dfa = DFA(NFA(node))
        self._ending = _tokens_to_end(self._dfa.nfa, set(spelled) - {b""})
        self._moves = cache(self._walk)
        self.end_id = tokenizer.end_of_text_id

    @classmethod
    def regex(cls, pattern: str, tokenizer: BPETokenizer) -> Constraint:
        """The whole text matches a regular expression; `regex.parse` says which are understood."""
        return cls(parse(pattern), tokenizer)

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any], tokenizer: BPETokenizer) -> Constraint:
        """The text is JSON that a schema allows; `json_schema.schema_node` says which."""
        return cls(schema_node(schema), tokenizer)

    def start(self, n_rows: int, max_new_tokens: int) -> list[int]:
        """The state of each row before its first token.

        Raises:
            ValueError: no text matches, or none that is known to be short enough.
        """
        needed = self._needed(self._dfa.start)
        if needed > max_new_tokens:
            raise ValueError(
                "no text that this vocabulary can spell matches the pattern"
                if needed == math.inf
                else f"max_new_tokens={max_new_tokens}: a match needs {needed} tokens"
            )
        return [self._dfa.start] * n_rows

    def allowed(
        self, states: list[int], n_left: int, logits: Float[Tensor, "B V"]
    ) -> Bool[Tensor, "B V"]:
        """True where a token may be drawn, when ``n_left`` may be drawn with this one."""
        mask = np.zeros(logits.shape, dtype=bool)
        for row, state in zip(mask, states, strict=True):
            tokens, _, needed = self._moves(state)
            row[tokens[needed < n_left]] = True
            row[self.end_id] = state == DEAD or self._dfa.accepts(state)
        return torch.from_numpy(mask).to(logits.device)

    def advance(self, states: list[int], drawn: Int[Tensor, " B"]) -> list[int]:
        """The states after each row's token. A row that has ended is in the state DEAD."""
        after = []
        for state, token in zip(states, drawn.tolist(), strict=True):
            tokens, reached, _ = self._moves(state)
            place = np.searchsorted(tokens, token)
            found = place < len(tokens) and tokens[place] == token
            after.append(int(reached[place]) if found else DEAD)
        return after

    def _needed(self, state: int) -> float:
        """Tokens of the known ending."""
        return min((self._ending[m] for m in self._dfa.members[state]), default=math.inf)

    def _walk(self, state: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens that can be read in a state, the state after each, and what its ending needs."""
        reached = np.full(len(self._bytes), DEAD, dtype=np.int32)
        alive = np.flatnonzero(self._lengths)
        states = np.full(len(alive), state, dtype=np.int32)
        for column in range(self._bytes.shape[1]):
            states = self._dfa.step(states, self._bytes[alive, column])
            alive, states = alive[states != DEAD], states[states != DEAD]
            whole = self._lengths[alive] == column + 1
            reached[alive[whole]] = states[whole]
            alive, states = alive[~whole], states[~whole]
            if not len(alive):
                break
        tokens = np.flatnonzero(reached)
        after = reached[tokens].tolist()
        needed = {state: self._needed(state) for state in set(after)}
        return tokens, reached[tokens], np.array([needed[state] for state in after])


def _tokens_to_end(nfa: NFA, vocabulary: Collection[bytes]) -> list[float]:
    """For each state of the NFA, how many tokens spell the ending with the fewest bytes.

    Breadth first from the accepting state backwards. An ending is a linked list: its first
    byte, the rest, and its number of tokens, the fewest over all tokens that it may begin with.
    """
    before: list[list[tuple[int, int | None]]] = [[] for _ in nfa.edges]
    for state, (edges, free) in enumerate(zip(nfa.edges, nfa.free, strict=True)):
        for target in free:
            before[target].append((state, None))
        for low, high, target in edges:
            bytes_of_edge = range(low, high + 1)
            known = (b for b in bytes_of_edge if bytes([b]) in vocabulary)
            before[target] += [(state, b) for b in [next(known, None)] if b is not None]
    n_tokens = [math.inf] * len(nfa.edges)
    queue: deque[tuple[int, int | None, Any]] = deque([(nfa.accept, None, (None, None, 0))])
    while queue:
        state, byte, ending = queue.popleft()
        if n_tokens[state] < math.inf:
            continue
        if byte is not None:
            ending = (byte, ending, _fewest(byte, ending, vocabulary))
        n_tokens[state] = ending[2]
        for source, byte in before[state]:
            add = queue.appendleft if byte is None else queue.append
            add((source, byte, ending))
    return n_tokens


def _fewest(byte: int, rest: Any, vocabulary: Collection[bytes]) -> float:
    """Tokens of the ending that begins with the byte and goes on with the rest."""
    fewest, token = math.inf, bytes([byte])
    while len(token) <= LONGEST:
        if token in vocabulary:
            fewest = min(fewest, 1 + rest[2])
        if rest[0] is None:
            break
        token, rest = token + bytes([rest[0]]), rest[1]
    return fewest
