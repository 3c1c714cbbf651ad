"""Between our configuration and the hub's config.json, for GPT-2 and Llama."""

from __future__ import annotations

from typing import Any

from llmbook.config import GPTConfig, RopeScaling
from llmbook.weights.layout import read_config


def to_hub_config(config: GPTConfig, end_of_text_id: int | None) -> dict[str, Any]:
    """The config.json with which ``transformers`` builds the same model.

    Raises:
        ValueError: neither GPT-2 nor Llama has this combination of choices.
    """
    common = {
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": end_of_text_id,
        "eos_token_id": end_of_text_id,
        "dtype": "float32",
    }
    if _is_llama(config):
        return common | _llama_fields(config)
    if _is_gpt2(config):
        return common | _gpt2_fields(config)
    raise ValueError(
        f"position={config.position!r}, norm={config.norm!r}, mlp={config.mlp!r}, "
        f"bias={config.bias}, window={config.window}, experts={config.n_expert}: the hub's layout "
        "knows GPT-2 (learned, layernorm, gelu, bias) and "
        "Llama (rope, rmsnorm, swiglu) only"
    )


def from_hub_config(document: dict[str, Any]) -> GPTConfig:
    """Our configuration of a GPT-2 or Llama config.json.

    Raises:
        ValueError: another family, a missing size, or a variant that `GPT` does not have.
    """
    family = document.get("model_type")
    readers = {"gpt2": _read_gpt2, "llama": _read_llama}
    if not isinstance(family, str) or family not in readers:
        raise ValueError(f"config.json: model_type {family!r} is neither 'gpt2' nor 'llama'")
    return read_config(document, family, lambda: readers[family](document))


def _is_llama(config: GPTConfig) -> bool:
    choices = (config.position, config.norm, config.mlp)
    return choices == ("rope", "rmsnorm", "swiglu") and _is_plain(config)


def _is_plain(config: GPTConfig) -> bool:
    return config.norm_first and config.window is None and not config.n_expert


def _is_gpt2(config: GPTConfig) -> bool:
    choices = (config.position, config.norm, config.mlp, config.bias)
    same_heads = config.kv_heads == config.n_head
    return choices == ("learned", "layernorm", "gelu", True) and same_heads and _is_plain(config)


def _llama_fields(config: GPTConfig) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.d_model,
        "intermediate_size": config.ff_width,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.d_head,
        "hidden_act": "silu",
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_base,  # read by transformers before version 5
        "rope_parameters": {"rope_theta": config.rope_base, **_scaling_fields(config.rope_scaling)},
        "attention_bias": config.bias,
        "mlp_bias": config.bias,
        "attention_dropout": 0.0,
    }


def _scaling_fields(scaling: RopeScaling | None) -> dict[str, Any]:
    if scaling is None:
        return {"rope_type": "default"}
    fields = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "llama3":
        fields |= {theirs: getattr(scaling, ours) for theirs, ours in _LLAMA3_SCALING.items()}
    return fields


_LLAMA3_SCALING = {
    "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor",
    "original_max_position_embeddings": "original_context",
}


def _read_scaling(fields: dict[str, Any]) -> RopeScaling | None:
    kind = fields.get("rope_type", fields.get("type", "default"))
    if kind == "default":
        return None
    if kind not in ("linear", "llama3"):
        raise ValueError(f"config.json: RoPE of type {kind!r} is not supported")
    more = _LLAMA3_SCALING if kind == "llama3" else {}
    numbers = {ours: fields[theirs] for theirs, ours in more.items()}
    return RopeScaling(kind, factor=float(fields["factor"]), **numbers)


def _gpt2_fields(config: GPTConfig) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": config.d_model,
        "n_inner": config.ff_width,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_positions": config.context_length,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": config.norm_eps,
        "attn_pdrop": 0.0,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
    }


def _read_llama(document: dict[str, Any]) -> GPTConfig:
    rope = document.get("rope_parameters") or {}
    _require(document, "hidden_act", "silu")
    if document.get("attention_bias", False) != document.get("mlp_bias", False):
        raise ValueError("config.json: attention_bias and mlp_bias differ; GPT has both or none")
    config = GPTConfig(
        vocab_size=document["vocab_size"],
        context_length=document["max_position_embeddings"],
        n_layer=document["num_hidden_layers"],
        n_head=document["num_attention_heads"],
        n_kv_head=document.get("num_key_value_heads"),
        d_model=document["hidden_size"],
        d_ff=document["intermediate_size"],
        bias=document.get("attention_bias", False),
        tie_embeddings=document.get("tie_word_embeddings", False),
        rope_base=float(rope.get("rope_theta", document.get("rope_theta", 10_000.0))),
        rope_scaling=_read_scaling(document.get("rope_scaling") or rope),
        norm_eps=float(document.get("rms_norm_eps", 1e-6)),
    )
    if document.get("head_dim") not in (None, config.d_head):
        raise ValueError(
            f"config.json: head_dim={document['head_dim']} is not hidden_size / "
            f"num_attention_heads = {config.d_head}"
        )
    return config


def _read_gpt2(document: dict[str, Any]) -> GPTConfig:
    _require(document, "activation_function", "gelu_new")
    return GPTConfig.preset(
        "gpt2",
        vocab_size=document["vocab_size"],
        context_length=document["n_positions"],
        n_layer=document["n_layer"],
        n_head=document["n_head"],
        d_model=document["n_embd"],
        d_ff=document.get("n_inner"),
        tie_embeddings=document.get("tie_word_embeddings", True),
        norm_eps=float(document.get("layer_norm_epsilon", 1e-5)),
    )


def _require(document: dict[str, Any], field: str, value: str) -> None:
    found = document.get(field, value)
    if found != value:
        raise ValueError(f"config.json: {field}={found!r} is not supported, only {value!r}")
