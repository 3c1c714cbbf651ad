"""Text as it is written: whole characters only, up to a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Any

from llmbook.generate.loop import stream
from llmbook.generate.reader import Decoder
from llmbook.tokenizers import BPETokenizer


def text_stream(
    model: Decoder,
    tokenizer: BPETokenizer,
    prompt: str | Sequence[int],
    *,
    stop_text: Sequence[str] = (),
    **settings: Any,
) -> Iterator[str]:
    """Yield the text that continues a prompt, piece by piece; together they are the whole.

    A character may be spread over several tokens, and so may a stop string: what could still
    turn out to be a part of one is held back until that is decided. End-of-text ends the text,
    other special tokens are left out, and so is a character that is not finished at the end.

    Args:
        model: put into evaluation mode by the caller.
        tokenizer: the model's own.
        prompt: text, or ids where it has special tokens.
        stop_text: the text ends before the first of these strings.
        settings: as for `stream`.
    """
    if not all(stop_text):
        raise ValueError("a stop string is empty: give each at least one character")
    ids = tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
    special = set(tokenizer.special.values())
    settings = {"stop_id": tokenizer.end_of_text_id, **settings}
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    held = ""
    for token in stream(model, [ids or [tokenizer.end_of_text_id]], **settings):
        if int(token) not in special:
            held += decoder.decode(tokenizer.token_bytes(int(token)))
        found = [held.index(stop) for stop in stop_text if stop in held]
        if found:
            held = held[: min(found)]
            break
        n_ready = len(held) - _begun(held, stop_text)
        if n_ready:
            yield held[:n_ready]
            held = held[n_ready:]
    if held:
        yield held


def _begun(text: str, stop_text: Sequence[str]) -> int:
    """Length of the longest end of the text with which a stop string begins."""
    longest = max(map(len, stop_text), default=1) - 1
    lengths = range(min(longest, len(text)), 0, -1)
    return next((n for n in lengths if any(s.startswith(text[-n:]) for s in stop_text)), 0)
