"""The parts of a Transformer."""

from llmbook.nn.attention import (
    Attention,
    attend,
    attend_biased,
    attend_fused,
    causal_mask,
    padding_mask,
    repeat_kv,
)
from llmbook.nn.block import Block, Trace
from llmbook.nn.cache import KVCache, LayerCache
from llmbook.nn.experts import MixtureOfExperts
from llmbook.nn.initial import initialise
from llmbook.nn.mlp import MLP, activate
from llmbook.nn.norms import RMSNorm, make_norm
from llmbook.nn.positions import (
    Rotation,
    alibi_bias,
    alibi_slopes,
    rope_rotation,
    rotate,
    sinusoidal_positions,
)

__all__ = [
    "MLP",
    "Attention",
    "Block",
    "KVCache",
    "LayerCache",
    "MixtureOfExperts",
    "RMSNorm",
    "Rotation",
    "Trace",
    "activate",
    "alibi_bias",
    "alibi_slopes",
    "attend",
    "attend_biased",
    "attend_fused",
    "causal_mask",
    "initialise",
    "make_norm",
    "padding_mask",
    "repeat_kv",
    "rope_rotation",
    "rotate",
    "sinusoidal_positions",
]
