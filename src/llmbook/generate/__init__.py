"""Writing text with a model: draw, search, guess ahead, keep to a pattern."""

from llmbook.generate.beam import Beam, beam_search
from llmbook.generate.constrained import Constraint
from llmbook.generate.filters import (
    Sampling,
    filtered,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    probabilities,
)
from llmbook.generate.loop import generate, next_token_distribution, stream
from llmbook.generate.reader import Decoder, Reader, left_pad
from llmbook.generate.speculative import Speculation, speculate
from llmbook.generate.text import text_stream

__all__ = [
    "Beam",
    "Constraint",
    "Decoder",
    "Reader",
    "Sampling",
    "Speculation",
    "beam_search",
    "filtered",
    "generate",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "left_pad",
    "next_token_distribution",
    "penalise_repetition",
    "probabilities",
    "speculate",
    "stream",
    "text_stream",
]
