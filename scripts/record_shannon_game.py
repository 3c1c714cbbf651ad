"""Shannon's guessing game, played by two models: results/ngram_shannon.json, replayed by chapter 4.

    python scripts/record_shannon_game.py       # about a quarter of an hour on one core

The text stays as it is, marks and capitals included. What has to be guessed is the next one of 27
symbols, a letter in either case or a space (a line break counts as one); marks and digits are
given away, to every player alike. So each player's probabilities of the next byte are folded into
27 and divided by their sum. The counting player knows the bytes of the training text (interpolated
modified Kneser-Ney). The other is the shipped model, whose tokens are longer than letters:
`next_bytes` adds up all the ways in which tokens can go on from the letters seen.

Recorded: three passages to be played in the page, with each player's order of guesses; and, over
passages of all four sources, how often each player needed how many guesses.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from evaluate_baselines import ROOT, provenance
from llmbook.datasets import SOURCES, Document, load_corpus
from llmbook.evaluate import heldout_documents
from llmbook.files import write_atomically
from llmbook.models import NGramModel
from llmbook.models.ngram_counts import number_ngrams, smooth, with_boundary
from llmbook.tokenizers import BPETokenizer
from llmbook.weights import load_book_model

ALPHABET = "abcdefghijklmnopqrstuvwxyz "
BOUNDARY = 256  # after the 256 bytes
ORDERS = range(1, 11)
PLAYED = {"wikipedia": "Apple", "austen": "Pride and Prejudice: Chapter 50", "bible": "John 6"}
GIVEN, HIDDEN = 100, 260  # characters shown at first, and to be guessed (marks included)
PASSAGES_PER_SOURCE = 8

LanguageModel = Callable[[Tensor], Tensor]


class State(NamedTuple):
    """Tokens that spell the text up to ``end``: their probability, and what may follow them."""

    tokens: tuple[int, ...]
    end: int
    mass: float
    following: np.ndarray


def main() -> int:
    model, tokenizer = load_book_model()
    documents = heldout_documents()
    counting = train_on_bytes(load_corpus("train"), ORDERS)
    longest = counting[ORDERS[-1]]
    played = [record_passage(d, longest, model, tokenizer) for d in chosen(documents)]
    rounds = [d.text.encode() for d in spread(documents)]
    result = {
        **provenance(),
        "command": "python scripts/record_shannon_game.py",
        "alphabet": ALPHABET,
        "ngram_order": ORDERS[-1],
        "passages": played,
        "sample": record_sample(rounds, counting, model, tokenizer),
    }
    path = ROOT / "results/ngram_shannon.json"
    write_atomically(path, (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    print("wrote", path.relative_to(ROOT))
    return 0


def train_on_bytes(documents: Sequence[Document], orders: Sequence[int]) -> dict[int, NGramModel]:
    """Kneser-Ney models of the bytes of the documents, one of each order."""
    text = np.frombuffer(b"".join(d.text.encode() + b"\xff" for d in documents), dtype=np.uint8)
    ids = text.astype(np.int64)
    ids[ids == 0xFF] = BOUNDARY  # the byte 0xff does not occur in UTF-8
    size = BOUNDARY + 1
    grams = number_ngrams(with_boundary(ids, size, BOUNDARY), max(orders), size, BOUNDARY)
    return {n: NGramModel(n, size, BOUNDARY, smooth(grams[:n], size)) for n in orders}


def fold(next_byte: np.ndarray) -> np.ndarray:
    """Probabilities of the 27 symbols, given that one of them is next, (27,)."""
    folded = np.array(
        [next_byte[ord(c)] + next_byte[ord(c.upper() if c != " " else "\n")] for c in ALPHABET]
    )
    return folded / folded.sum()


def symbol(byte: int) -> int | None:
    """Which of the 27 symbols a byte is; none for a mark or a digit."""
    found = ALPHABET.find(chr(byte).lower().replace("\n", " "))
    return found if found >= 0 else None


class TokenBytes:
    """Which tokens begin with some bytes, and which byte comes after these in each of them."""

    def __init__(self, tokenizer: BPETokenizer) -> None:
        longer: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        self.whole: dict[bytes, int] = {}
        for token in range(tokenizer.end_of_text_id):
            spelled = tokenizer.token_bytes(token)
            self.whole[spelled] = token
            for cut in range(len(spelled)):
                longer[spelled[:cut]].append((token, spelled[cut]))
        self.longer = {k: tuple(np.array(v).T) for k, v in longer.items()}
        self.end_of_text = tokenizer.end_of_text_id


def next_bytes(
    model: LanguageModel,
    spelling: TokenBytes,
    text: bytes,
    *,
    context_length: int,
    least: float = 1e-4,
) -> Iterator[np.ndarray]:
    """Before each byte of a document: probabilities of the next byte, and of its end (257,).

    A token model gives a byte the sum over all sequences of tokens that spell the text so far and
    end in a token that reaches beyond it. Sequences that hold less than ``least`` of the
    probability of the text so far are given up.
    """
    root = (spelling.end_of_text,)
    states = [State(root, 0, 1.0, _following(model, [root], context_length)[0])]
    for place, byte in enumerate(text):
        mass = np.zeros(BOUNDARY + 1)
        for state in states:
            tokens, after = spelling.longer.get(text[state.end : place], ((), ()))
            np.add.at(mass, np.asarray(after, int), state.mass * state.following[list(tokens)])
            if state.end == place:
                mass[BOUNDARY] += state.mass * state.following[spelling.end_of_text]
        yield mass / mass.sum()
        total = mass[byte]
        fresh = [
            ((*s.tokens, token), s.mass * s.following[token])
            for s in states
            if (token := spelling.whole.get(text[s.end : place + 1])) is not None
        ]
        fresh = [(tokens, m) for tokens, m in fresh if m > least * total]
        rows = _following(model, [tokens for tokens, _ in fresh], context_length)
        states = [s for s in states if _reach(s, spelling, text[s.end : place + 1]) > least * total]
        states += [State(t, place + 1, m, row) for (t, m), row in zip(fresh, rows, strict=True)]
        states = [s._replace(mass=s.mass / total) for s in states]


def _reach(state: State, spelling: TokenBytes, spelled: bytes) -> float:
    tokens, _ = spelling.longer.get(spelled, ((), ()))
    return float(state.mass * state.following[list(tokens)].sum())


@torch.no_grad()
def _following(
    model: LanguageModel, rows: Sequence[tuple[int, ...]], context_length: int
) -> list[np.ndarray]:
    found = []
    for row in rows:
        logits = model(torch.tensor([row[-context_length:]]))[0, -1]
        found.append(torch.softmax(logits.double(), dim=-1).numpy())
    return found


def by_counting(model: NGramModel, text: bytes) -> Iterator[np.ndarray]:
    """The same of an n-gram model of bytes."""
    ids = list(text)
    for place in range(len(ids)):
        yield model.next_token_distribution(ids[max(0, place - model.order) : place])


def chosen(documents: Sequence[Document]) -> list[Document]:
    """The documents to be played in the page."""
    titles = set(PLAYED.items())
    return [d for d in documents if (d.source, d.title) in titles]


def spread(documents: Sequence[Document]) -> list[Document]:
    """Documents of each source, evenly spaced, none of them played in the page."""
    found = []
    for source in SOURCES:
        long = [d for d in documents if d.source == source and len(d.text) > GIVEN + HIDDEN + 40]
        rest = [d for d in long if (source, d.title) not in PLAYED.items()]
        found += [rest[i * len(rest) // PASSAGES_PER_SOURCE] for i in range(PASSAGES_PER_SOURCE)]
    return found


def limits(text: str) -> tuple[int, int, int]:
    """Where the shown text begins, where guessing begins, and where it ends (at word ends)."""
    heading = re.match(r"Chapter \w+\n\n", text)
    begin = heading.end() if heading else 0
    first = text.index(" ", begin + GIVEN)
    return begin, first, text.index(" ", first + HIDDEN)


def moves(
    players: dict[str, Iterator[np.ndarray]], text: bytes, first: int, last: int
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """(symbol, each player's 27 probabilities) of every symbol that has to be guessed."""
    steps = zip(*players.values(), strict=True)
    for place, row in enumerate(steps):
        if place >= last:
            return
        found = symbol(text[place])
        if place >= first and found is not None:
            yield found, dict(zip(players, map(fold, row), strict=True))


def order_of(probabilities: np.ndarray) -> str:
    """The symbols, most probable first."""
    return "".join(ALPHABET[i] for i in np.argsort(-probabilities, kind="stable"))


def record_passage(
    document: Document, counting: NGramModel, model: Any, tokenizer: BPETokenizer
) -> dict[str, Any]:
    """A passage to play: its text, and for every symbol each player's guesses and bits."""
    begin, first, last = limits(document.text)
    text = document.text.encode()
    assert document.text[:last].isascii()
    text = text[:last]
    spelling, length = TokenBytes(tokenizer), model.config.context_length
    players = {
        "ngram": by_counting(counting, text),
        "model": next_bytes(model, spelling, text, context_length=length),
    }
    rows = list(moves(players, text, first, last))
    return {
        "source": document.source,
        "title": document.title,
        "given": document.text[begin:first],
        "hidden": document.text[first:last],
        "guesses": {name: [order_of(p[name]) for _, p in rows] for name in players},
        "bits": {
            name: [round(-math.log2(p[name][found]), 3) for found, p in rows] for name in players
        },
    }


def record_sample(
    texts: Sequence[bytes],
    counting: dict[int, NGramModel],
    model: Any,
    tokenizer: BPETokenizer,
) -> dict[str, Any]:
    """For each passage and player: the guesses needed for each symbol, and the bits."""
    spelling, length = TokenBytes(tokenizer), model.config.context_length
    ranks: dict[str, list[str]] = defaultdict(list)  # as text: one line per passage
    bits: dict[str, list[float]] = defaultdict(list)
    started = time.process_time()
    for text in texts:
        _, first, last = limits(text.decode(errors="replace"))
        part = text[:last]
        players: dict[str, Iterator[np.ndarray]] = {
            f"ngram{n}": by_counting(counting[n], part) for n in counting
        }
        players["model"] = next_bytes(model, spelling, part, context_length=length)
        rows = list(moves(players, part, first, last))
        for name in players:
            needed = [1 + order_of(p[name]).index(ALPHABET[found]) for found, p in rows]
            ranks[name].append(" ".join(map(str, needed)))
            bits[name].append(round(sum(-math.log2(p[name][f]) for f, p in rows), 3))
        print(f"{len(ranks['model'])} passages, {time.process_time() - started:.0f} s", flush=True)
    return {
        "passages": len(texts),
        "symbols": sum(len(line.split()) for line in ranks["model"]),
        "ranks": dict(ranks),
        "bits": dict(bits),
    }


if __name__ == "__main__":
    sys.exit(main())
