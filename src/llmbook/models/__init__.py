"""Whole models, built from the parts in `llmbook.nn`."""

from llmbook.models.base import Transformer
from llmbook.models.bert import BERT, BERTOutput, mean_pool, sentence_embeddings
from llmbook.models.gpt import GPT
from llmbook.models.ngram import NGramModel
from llmbook.models.seq2seq import Seq2Seq
from llmbook.nn import Trace

__all__ = [
    "BERT",
    "GPT",
    "BERTOutput",
    "NGramModel",
    "Seq2Seq",
    "Trace",
    "Transformer",
    "mean_pool",
    "sentence_embeddings",
]
