"""What the Hugging Face library calls our parameters, in one table per family."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from llmbook.config import GPTConfig
from llmbook.weights.layout import rename

LLAMA_BLOCK = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}
LLAMA_OUTSIDE = {
    "token_embedding": "model.embed_tokens",
    "norm": "model.norm",
    "output": "lm_head",
}
GGUF_BLOCK = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.out": "attn_output",
    "mlp_norm": "ffn_norm",
    "mlp.gate": "ffn_gate",
    "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
}
GGUF_OUTSIDE = {"token_embedding": "token_embd", "norm": "output_norm", "output": "output"}
GPT2_BLOCK = {
    "attention_norm": "ln_1",
    "attention.out": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
GPT2_OUTSIDE = {
    "token_embedding": "transformer.wte",
    "position_embedding": "transformer.wpe",
    "norm": "transformer.ln_f",
    "output": "lm_head",
}
GPT2_TRANSPOSED = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
"""GPT-2's linear layers are stored (in, out); `torch.nn.Linear` stores (out, in)."""


def llama_names(n_layer: int) -> dict[str, str]:
    """Our module names → Llama's."""
    return LLAMA_OUTSIDE | {
        f"blocks.{i}.{ours}": f"model.layers.{i}.{theirs}"
        for i in range(n_layer)
        for ours, theirs in LLAMA_BLOCK.items()
    }


def gguf_names(n_layer: int) -> dict[str, str]:
    """Our module names → those of a Llama in a GGUF file."""
    return GGUF_OUTSIDE | {
        f"blocks.{i}.{ours}": f"blk.{i}.{theirs}"
        for i in range(n_layer)
        for ours, theirs in GGUF_BLOCK.items()
    }


def gpt2_names(n_layer: int) -> dict[str, str]:
    """Our module names → GPT-2's, but for queries, keys and values, which it keeps in one."""
    return GPT2_OUTSIDE | {
        f"blocks.{i}.{ours}": f"transformer.h.{i}.{theirs}"
        for i in range(n_layer)
        for ours, theirs in GPT2_BLOCK.items()
    }


def to_hub(state: Mapping[str, Tensor], config: GPTConfig) -> dict[str, Tensor]:
    """Our state dict under the hub's names and layouts."""
    if config.position == "rope":
        return rename(state, llama_names(config.n_layer))
    joined = dict(state)
    for i in range(config.n_layer):
        for kind in ("weight", "bias"):
            parts = [joined.pop(f"blocks.{i}.attention.{n}.{kind}") for n in _QKV]
            joined[f"transformer.h.{i}.attn.c_attn.{kind}"] = torch.cat(parts)
    renamed = rename(joined, gpt2_names(config.n_layer))
    return {k: _transpose_gpt2(k, v) for k, v in renamed.items()}


def from_hub(state: Mapping[str, Tensor], config: GPTConfig) -> dict[str, Tensor]:
    """The hub's tensors under our names and layouts; buffers that it stores are left out."""
    if config.position == "rope":
        return rename(state, _inverse(llama_names(config.n_layer)))
    prefixed = {_with_prefix(k): v for k, v in state.items() if not _is_gpt2_buffer(k)}
    upright = {k: _transpose_gpt2(k, v) for k, v in prefixed.items()}
    for i in range(config.n_layer):
        for kind in ("weight", "bias"):
            fused = upright.pop(f"transformer.h.{i}.attn.c_attn.{kind}")
            for name, part in zip(_QKV, fused.chunk(3), strict=True):
                upright[f"blocks.{i}.attention.{name}.{kind}"] = part
    return rename(upright, _inverse(gpt2_names(config.n_layer)))


_QKV = ("query", "key", "value")


def _inverse(names: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in names.items()}


def _transpose_gpt2(name: str, tensor: Tensor) -> Tensor:
    stored_sideways = name.endswith(tuple(f"{part}.weight" for part in GPT2_TRANSPOSED))
    return tensor.T.contiguous() if stored_sideways else tensor


def _with_prefix(name: str) -> str:
    return name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"


def _is_gpt2_buffer(name: str) -> bool:
    return name.endswith((".attn.bias", ".attn.masked_bias"))
