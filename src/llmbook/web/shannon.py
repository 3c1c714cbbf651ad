"""Shannon's guessing game: the reader guesses a text symbol by symbol, beside two models."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import as_array, milli

ALPHABET = "abcdefghijklmnopqrstuvwxyz "
"""The 27 symbols to guess: letters of either case, and the space. Marks are given away."""


def shannon_bounds(ranks: Iterable[int]) -> tuple[float, float]:
    """Lower and upper bound of the entropy, in bits per symbol, from the guesses needed.

        Σ i (q_i − q_{i+1}) log₂ i  ≤  F  ≤  −Σ q_i log₂ q_i

    with q_i the share of symbols found at guess i. The upper bound holds for any player whose
    next guess depends on the text seen so far; the lower one for a player who guesses in the
    order of the true probabilities. Both are estimates where the shares are.

    Source: Shannon 1951, section 5. Taught in chapter 4.
    Raises:
        ValueError: no guesses, or a rank below 1.
    """
    counts = Counter(ranks)
    total = sum(counts.values())
    if not total or min(counts) < 1:
        raise ValueError("ranks must hold at least one number of guesses, each 1 or more")
    shares = {i: n / total for i, n in sorted(counts.items())}
    upper = -sum(q * math.log2(q) for q in shares.values())
    # i log i − (i − 1) log (i − 1) is what the sum above gives to each q_i.
    lower = sum(q * (_weight(i) - _weight(i - 1)) for i, q in shares.items())
    return lower, max(0.0, upper)


def _weight(i: int) -> float:
    return i * math.log2(i) if i > 1 else 0.0


def symbols(text: str) -> list[str]:
    """What has to be guessed of a text: its letters, in lower case, and spaces."""
    folded = (c.lower().replace("\n", " ") for c in text)
    return [c for c in folded if c in ALPHABET]


def shannon_game(
    passages: Sequence[Mapping[str, Any]], *, players: Mapping[str, str], caption: str = ""
) -> Component:
    """Guess the next letter of a text, and see two bounds of the entropy of its language.

    Args:
        passages: mappings with ``title``, ``given`` (text shown at first), ``hidden`` (text to
            guess), and for each player ``guesses`` (27 symbols in the order in which it would
            name them, for every symbol of ``hidden``) and ``bits`` (−log₂ p of each).
        players: a name to show for each player's key, such as ``{"ngram": "10-gram"}``. The
            first one finishes a symbol for a reader who is stuck.
    Raises:
        ValueError: no passage or player, or guesses that do not fit the text.

    Taught in chapter 4.
    """
    if not passages or not players:
        raise ValueError("the game needs at least one passage and one player")
    packed: list[dict[str, object]] = [_pack(passage, list(players)) for passage in passages]
    names = [translate(name) for name in players.values()]
    data: dict[str, object] = {"passages": packed, "players": names}
    rows = [[str(p["title"]), name, *_row(p, k)] for p in packed for k, name in enumerate(names)]
    here = "shannon_game"
    head = [
        translate("text", here),
        translate("player", here),
        translate("right at the first guess", here),
        translate("lower bound", here),
        translate("upper bound", here),
        translate("paid", here),
    ]
    title = translate("Shannon's game, played to the end by two models (bits per symbol)", here)
    summary = f"{len(packed)} passage{'s' if len(packed) > 1 else ''}"
    return Component("shannon_game", data, svg.table(title, head, rows), summary, caption)


def _pack(passage: Mapping[str, Any], players: Sequence[str]) -> dict[str, object]:
    title, wanted = str(passage["title"]), symbols(passage["hidden"])
    orders, bits = [], []
    for player in players:
        guesses, paid = passage["guesses"][player], as_array(passage["bits"][player], "bits")
        if not len(wanted) == len(guesses) == len(paid) > 0:
            raise ValueError(
                f"{title}: {len(wanted)} symbols to guess, but {len(guesses)} lists of guesses "
                f"and {len(paid)} numbers of bits by {player}"
            )
        for guess in guesses:
            if sorted(guess) != sorted(ALPHABET):
                raise ValueError(f"{title}: {guess!r} does not name each of the 27 symbols once")
        orders.append("".join(guesses))
        bits.append(milli(paid, "bits"))
    given = str(passage["given"])
    return {"title": translate(title), "given": given, "hidden": passage["hidden"],
            "orders": orders, "bits": bits}  # fmt: skip


def _row(packed: Mapping[str, Any], player: int) -> list[str]:
    wanted, order, size = symbols(packed["hidden"]), packed["orders"][player], len(ALPHABET)
    ranks = [1 + order[size * i : size * (i + 1)].index(c) for i, c in enumerate(wanted)]
    low, high = shannon_bounds(ranks)
    first = sum(rank == 1 for rank in ranks) / len(ranks)
    paid = sum(packed["bits"][player]) / 1000 / len(ranks)
    return [f"{first:.0%}", f"{low:.2f}", f"{high:.2f}", f"{paid:.2f}"]
