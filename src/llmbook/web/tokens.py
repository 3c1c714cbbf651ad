"""The tokenizer playground: a reader types, and several tokenizers cut."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from llmbook.language import translate
from llmbook.tokenizers import WORD_PATTERN, BPETokenizer, WordPieceTokenizer
from llmbook.web import svg
from llmbook.web.component import Component
from llmbook.web.quantise import visible

Vocabulary: TypeAlias = BPETokenizer | WordPieceTokenizer | Mapping[str, float]
SCORE_UNITS = 1000
"""A Unigram score is an integer number of thousandths of a nat."""
UNKNOWN_PENALTY = 10.0
"""Nats by which an unknown character is less probable than the rarest piece."""
LONGEST_TEXT = 2000


def tokenizer_playground(
    text: str,
    tokenizers: Mapping[str, Vocabulary],
    *,
    samples: Mapping[str, str] | None = None,
    packed: Mapping[str, bytes] | None = None,
    caption: str = "",
) -> Component:
    """A text field whose content is cut by each tokenizer while the reader types.

    Args:
        text: what stands in the field at first, at most 2000 characters.
        tokenizers: by name: byte-level BPE with the ids of GPT-2's order, WordPiece in lower
            case, or a Unigram vocabulary as piece → log-probability.
        samples: further texts to choose from, by title.
        packed: for a BPE of these, its merges as ``assets/gpt2_bpe`` has them, so that the page
            carries the compressed file.
        caption: a sentence below the component.
    Raises:
        ValueError: no tokenizer, too long a text, a tokenizer that the script cannot imitate, or
            packed merges that are not the tokenizer's.

    Taught in chapter 3.
    """
    if not tokenizers:
        raise ValueError("tokenizers is empty: give at least one")
    texts = {"": text} | dict(samples or {})
    for title, sample in texts.items():
        if len(sample) > LONGEST_TEXT:
            raise ValueError(f"text {title!r} has {len(sample)} characters: at most {LONGEST_TEXT}")
    ready = dict(packed or {})
    data: dict[str, object] = {
        "text": text,
        "samples": [[translate(title), sample] for title, sample in (samples or {}).items()],
        "tokenizers": [
            _pack(n, t, ready.get(n)) | {"name": translate(n)} for n, t in tokenizers.items()
        ],
    }
    static = _static(text, tokenizers)
    return Component("tokenizer_playground", data, static, ", ".join(tokenizers), caption)


def unigram_scores(log_probs: Mapping[str, float]) -> dict[str, int]:
    """Log-probabilities as integers, in thousandths of a nat: what the page computes with."""
    return {piece: round(SCORE_UNITS * value) for piece, value in log_probs.items()}


def unigram_pieces(text: str, scores: Mapping[str, int]) -> list[str]:
    """The pieces of the most probable split of each word, as the page's script finds them.

    Of equally good splits the one whose last piece is longest wins, then the piece before it. A
    character that no piece covers costs the rarest piece's score and `UNKNOWN_PENALTY` more.
    """
    unknown = min(scores.values()) - round(SCORE_UNITS * UNKNOWN_PENALTY)
    longest = max(map(len, scores))
    pieces: list[str] = []
    for word in WORD_PATTERN.findall(text):
        best, back = [0.0, *[-math.inf] * len(word)], [0] * (len(word) + 1)
        for end in range(1, len(word) + 1):
            for start in range(max(0, end - longest), end):
                score = scores.get(word[start:end], unknown if end - start == 1 else -math.inf)
                if best[start] + score > best[end]:
                    best[end], back[end] = best[start] + score, start
        split, end = [], len(word)
        while end:
            split.append(word[back[end] : end])
            end = back[end]
        pieces += reversed(split)
    return pieces


def _pack(name: str, tokenizer: Vocabulary, packed: bytes | None) -> dict[str, object]:
    if isinstance(tokenizer, BPETokenizer):
        if len(tokenizer.special) != 1 or tokenizer.split != "gpt2" or tokenizer.ignore_merges:
            raise ValueError(f"{name}: only byte-level BPE in GPT-2's order can be shown")
        rows = _rows(tokenizer.merges)
        if packed is not None and zlib.decompress(packed, -15) != rows:
            raise ValueError(f"{name}: the packed merges are not those of the tokenizer")
        raw = rows if packed is None else packed
        return {
            "name": name,
            "kind": "bpe",
            "deflated": int(packed is not None),
            "merges": base64.b64encode(raw).decode(),
        }
    if isinstance(tokenizer, WordPieceTokenizer):
        if not tokenizer.lowercase or tokenizer.strip_accents is False:
            raise ValueError(f"{name}: only WordPiece in lower case, without accents, can be shown")
        return {"name": name, "kind": "wordpiece", "vocab": tokenizer.vocab}
    scores = unigram_scores(tokenizer)
    return {
        "name": name,
        "kind": "unigram",
        "vocab": list(scores),
        "scores": list(scores.values()),
        "penalty": round(SCORE_UNITS * UNKNOWN_PENALTY),
    }


def _rows(merges: Sequence[tuple[int, int]]) -> bytes:
    """Four rows of bytes: low and high byte of the left ids, then of the right ids."""
    columns = np.array(merges, dtype=np.uint16).reshape(-1, 2).T
    return b"".join(half.astype(np.uint8).tobytes() for c in columns for half in (c & 255, c >> 8))


def shown_tokens(text: str, tokenizer: Vocabulary) -> list[str]:
    """The tokens of a text as the page shows them; bytes that are no text in hexadecimal."""
    if isinstance(tokenizer, BPETokenizer):
        return [_shown(tokenizer.token_bytes(i)) for i in tokenizer.encode(text)]
    if isinstance(tokenizer, WordPieceTokenizer):
        return [tokenizer.token_str(i) for i in tokenizer.encode(text)]
    return [visible(piece) for piece in unigram_pieces(text, unigram_scores(tokenizer))]


def _shown(token: bytes) -> str:
    try:
        return visible(token.decode("utf-8"))
    except UnicodeDecodeError:
        return token.hex(" ").upper()


def _static(text: str, tokenizers: Mapping[str, Vocabulary]) -> str:
    rows = []
    for name, tokenizer in tokenizers.items():
        tokens = shown_tokens(text, tokenizer)
        rows.append([translate(name), str(len(tokens)), " | ".join(tokens)])
    here = "tokenizer_playground"
    caption = translate("The tokens of “{text}” ({points} code points, {bytes} bytes)", here)
    caption = caption.format(text=text, points=len(text), bytes=len(text.encode()))
    head = [translate("tokenizer", here), translate("tokens", here), translate("cut", here)]
    return svg.table(caption, head, rows)
