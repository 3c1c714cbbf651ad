"""Whole models, built from the parts in `llmbook.nn`."""

from llmbook.models.gpt import GPT
from llmbook.models.ngram import NGramModel
from llmbook.nn import Trace

__all__ = ["GPT", "NGramModel", "Trace"]
