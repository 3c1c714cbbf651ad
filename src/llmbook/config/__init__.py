"""The one description of a model: every size and every choice, frozen."""

from llmbook.config.base import RopeScaling, TransformerConfig
from llmbook.config.families import BERTConfig, GPTConfig, Seq2SeqConfig

__all__ = ["BERTConfig", "GPTConfig", "RopeScaling", "Seq2SeqConfig", "TransformerConfig"]
