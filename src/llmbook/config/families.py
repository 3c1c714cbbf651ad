"""The three families, with their published shapes as presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from llmbook.config.base import Activation, Norm, Position, TransformerConfig, require_positive

_GPT2: dict[str, Any] = {
    "vocab_size": 50_257,
    "context_length": 1024,
    "position": "learned",
    "norm": "layernorm",
    "mlp": "gelu",
    "bias": True,
}
_GPT3: dict[str, Any] = {**_GPT2, "context_length": 2048, "n_head": 96}
_BOOK: dict[str, Any] = {"vocab_size": 4096, "context_length": 256, "n_head": 4}


@dataclass(frozen=True)
class GPTConfig(TransformerConfig):
    """A decoder: GPT-2 or Llama, by its choices (see `TransformerConfig`).

    Presets: ``gpt2`` to ``gpt2-xl`` (Radford et al. 2019), ``gpt3`` (Brown et al. 2020,
    table 2.1; its alternating sparse layers are dense here), ``jurassic-1-jumbo`` (Lieber et
    al. 2021, table 1), ``smollm2-135m`` (Allal et al. 2025), and this book's own: ``book``,
    ``book-small`` and ``tiny`` (chapter 12).
    """

    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "gpt2": {**_GPT2, "n_layer": 12, "n_head": 12, "d_model": 768},
        "gpt2-medium": {**_GPT2, "n_layer": 24, "n_head": 16, "d_model": 1024},
        "gpt2-large": {**_GPT2, "n_layer": 36, "n_head": 20, "d_model": 1280},
        "gpt2-xl": {**_GPT2, "n_layer": 48, "n_head": 25, "d_model": 1600},
        "gpt3": {**_GPT3, "n_layer": 96, "d_model": 12_288},
        "jurassic-1-jumbo": {**_GPT3, "vocab_size": 256_000, "n_layer": 76, "d_model": 13_824},
        "smollm2-135m": {
            "vocab_size": 49_152,
            "context_length": 8192,
            "n_layer": 30,
            "n_head": 9,
            "n_kv_head": 3,
            "d_model": 576,
            "d_ff": 1536,
            "rope_base": 100_000.0,
        },
        "book": {**_BOOK, "n_layer": 6, "d_model": 256},
        "book-small": {**_BOOK, "n_layer": 4, "d_model": 64, "d_ff": 192},
        "tiny": {
            "vocab_size": 512,
            "context_length": 64,
            "n_layer": 2,
            "n_head": 2,
            "d_model": 32,
        },
    }


_BERT: dict[str, Any] = {"vocab_size": 30_522, "context_length": 512}


@dataclass(frozen=True)
class BERTConfig(TransformerConfig):
    """An encoder that reads both ways.

    Args:
        n_type: kinds of segment that a token may belong to (sentence A, sentence B).
        pooler: whether the first token's state passes one more layer, for classification.
        mlm_head: whether there is a head that predicts masked tokens.

    Presets: ``bert-base`` and ``bert-large`` (Devlin et al. 2019, section 3), ``minilm-l6``
    (the six-layer MiniLM of Wang et al. 2020 behind all-MiniLM-L6-v2).
    """

    position: Position = "learned"
    norm: Norm = "layernorm"
    mlp: Activation = "gelu_erf"
    bias: bool = True
    norm_eps: float = 1e-12
    norm_first: bool = False
    n_type: int = 2
    pooler: bool = True
    mlm_head: bool = True

    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "bert-base": {**_BERT, "n_layer": 12, "n_head": 12, "d_model": 768},
        "bert-large": {**_BERT, "n_layer": 24, "n_head": 16, "d_model": 1024},
        "minilm-l6": {**_BERT, "n_layer": 6, "n_head": 12, "d_model": 384, "mlm_head": False},
    }


_VASWANI: dict[str, Any] = {"vocab_size": 37_000, "context_length": 512, "n_layer": 6}


@dataclass(frozen=True)
class Seq2SeqConfig(TransformerConfig):
    """An encoder–decoder; ``n_layer`` counts the encoder's blocks.

    Args:
        n_decoder_layer: blocks of the decoder; as many as ``n_layer`` when left out.
        scale_embeddings: multiply embeddings by √d_model (Vaswani et al. 2017, section 3.4).

    Presets: ``transformer-base`` and ``transformer-big`` (Vaswani et al. 2017, table 3, with the
    shared English–German vocabulary of about 37,000).
    """

    position: Position = "sinusoidal"
    norm: Norm = "layernorm"
    mlp: Activation = "relu"
    bias: bool = True
    norm_first: bool = False
    n_decoder_layer: int | None = None
    scale_embeddings: bool = True

    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "transformer-base": {**_VASWANI, "n_head": 8, "d_model": 512},
        "transformer-big": {**_VASWANI, "n_head": 16, "d_model": 1024},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_decoder_layer is None:
            object.__setattr__(self, "n_decoder_layer", self.n_layer)
        require_positive("n_decoder_layer", self.n_decoder_layer)

    @property
    def decoder_layers(self) -> int:
        """``n_decoder_layer`` once the default is filled in."""
        assert self.n_decoder_layer is not None
        return self.n_decoder_layer
