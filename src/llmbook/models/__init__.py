"""Whole models, built from the parts in `llmbook.nn`."""

from llmbook.models.gpt import GPT, Trace

__all__ = ["GPT", "Trace"]
