"""The parts of a Transformer."""

from llmbook.nn.attention import (
    Attention,
    attend,
    attend_fused,
    causal_mask,
    padding_mask,
    repeat_kv,
)
from llmbook.nn.block import Block
from llmbook.nn.cache import KVCache, LayerCache
from llmbook.nn.mlp import MLP
from llmbook.nn.norms import RMSNorm, make_norm
from llmbook.nn.positions import Rotation, rope_rotation, rotate

__all__ = [
    "MLP",
    "Attention",
    "Block",
    "KVCache",
    "LayerCache",
    "RMSNorm",
    "Rotation",
    "attend",
    "attend_fused",
    "causal_mask",
    "make_norm",
    "padding_mask",
    "repeat_kv",
    "rope_rotation",
    "rotate",
]
