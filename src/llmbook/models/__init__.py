"""Whole models, built from the parts in `llmbook.nn`."""

from llmbook.models.gpt import GPT, Trace
from llmbook.models.ngram import NGramModel

__all__ = ["GPT", "NGramModel", "Trace"]
