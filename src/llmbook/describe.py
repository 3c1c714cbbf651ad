"""What a model costs, counted from its configuration alone: parameters, arithmetic, memory."""

from __future__ import annotations

from dataclasses import dataclass

from llmbook.config import BERTConfig, GPTConfig, Seq2SeqConfig, TransformerConfig

GATED = ("swiglu",)
KEPT_BY_MLP = {"gelu": 2, "gelu_erf": 2, "silu": 2, "relu": 1, "relu2": 2, "swiglu": 4}
"""Tensors of width d_ff that the backward pass of each feed-forward layer needs."""


@dataclass(frozen=True)
class Description:
    """Counts that follow from a configuration. See `describe` for what each one means."""

    parameters: dict[str, int]
    n_params: int
    n_active_params: int
    forward_flops: int
    backward_flops: int
    kv_cache_bytes: int
    activation_bytes: int | None

    def __str__(self) -> str:
        rows = [(f"parameters, {part}", f"{n:,}") for part, n in self.parameters.items()]
        rows += [
            ("parameters", f"{self.n_params:,}"),
            ("parameters that work on a token", f"{self.n_active_params:,}"),
            ("FLOPs per token, forward", f"{self.forward_flops:,}"),
            ("FLOPs per token, backward", f"{self.backward_flops:,}"),
            ("KV cache, bytes per token", f"{self.kv_cache_bytes:,}"),
        ]
        if self.activation_bytes is not None:
            rows.append(("activations kept, bytes per token", f"{self.activation_bytes:,}"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value:>20}" for name, value in rows)


def describe(
    config: TransformerConfig, n_tokens: int | None = None, bytes_per_number: int = 4
) -> Description:
    """Count parameters, floating-point operations and memory.

    * ``parameters``: exact, by part; tied weights count once.
    * ``forward_flops``, per token of a text of ``n_tokens``: 2 for every weight of a matrix that
      the token passes, and 4 · d_model · (keys) per attention layer for qkᵀ and the mixture.
      Norms, activations and softmax are left out (together well under a hundredth). The causal
      half that a kernel may skip is counted, as is usual (Chowdhery et al. 2022, appendix B).
      For an encoder–decoder: per pair of a source and a target token.
    * ``backward_flops``: twice the forward's: one product for the gradient of each factor.
    * ``kv_cache_bytes``, per token: 2 · n_layer · n_kv_head · d_head numbers.
    * ``activation_bytes``, per token of a training step: what PyTorch keeps for the backward
      pass of `GPT` and `next_token_loss` with fused attention, without dropout, experts or
      ALiBi; None for other models.

    Args:
        config: of any family.
        n_tokens: length of the text; default the context length.
        bytes_per_number: 4 for float32, 2 for bfloat16 (cache and activations).

    Source: Kaplan et al. 2020, section 2.1 (2 FLOPs per weight and token, backward twice).
    Taught in chapters 8 and 15.
    """
    length = config.context_length if n_tokens is None else n_tokens
    if length < 1:
        raise ValueError(f"n_tokens={n_tokens}: give at least 1")
    parameters = count_parameters(config)
    n_idle = config.n_expert - config.n_expert_active if config.n_expert else 0
    idle = _n_block(config) * n_idle * _mlp_parameters(config)
    total = sum(parameters.values())
    forward = _forward_flops(config, length)
    kept = _kept_numbers(config)
    n_cached = 2 * _decoder_layers(config) * config.kv_heads * config.d_head
    return Description(
        parameters=parameters,
        n_params=total,
        n_active_params=total - idle,
        forward_flops=forward,
        backward_flops=2 * forward,
        kv_cache_bytes=n_cached * bytes_per_number,
        activation_bytes=None if kept is None else kept * bytes_per_number + 16,  # + two ids
    )


def count_parameters(config: TransformerConfig) -> dict[str, int]:
    """Exact number of parameters of each part; see `describe`."""
    width, vocab = config.d_model, config.vocab_size
    embedding = vocab * width
    if config.position == "learned":
        embedding += config.context_length * width
    n_block, n_cross = _n_block(config), 0
    n_norm, heads = 2 * n_block, 0
    if isinstance(config, BERTConfig):
        embedding += config.n_type * width
        heads = _square(config) * config.pooler
        if config.mlm_head:  # transform, norm, and a bias for each token
            heads += _square(config) + _norm_parameters(config) + vocab
        n_norm += 1 + config.norm_first  # of the embeddings, and the last one
    elif isinstance(config, Seq2SeqConfig):
        n_cross = config.decoder_layers
        n_norm += n_cross + (2 if config.norm_first else 0)
    else:
        n_norm += 1  # the last one
    has_output = not isinstance(config, BERTConfig) or config.mlm_head
    output = vocab * width if has_output and not config.tie_embeddings else 0
    if isinstance(config, Seq2SeqConfig):
        output += vocab  # a bias for each token
    mlp = _mlp_parameters(config) * max(1, config.n_expert)
    parts = {
        "embeddings": embedding,
        "attention": (n_block + n_cross) * _attention_parameters(config),
        "feed-forward": n_block * (mlp + config.n_expert * width),  # with the router
        "norms": n_norm * _norm_parameters(config),
        "heads": heads,
        "output": output,
    }
    return {name: n for name, n in parts.items() if n}


def _n_block(config: TransformerConfig) -> int:
    return config.n_layer + (config.decoder_layers if isinstance(config, Seq2SeqConfig) else 0)


def _decoder_layers(config: TransformerConfig) -> int:
    if isinstance(config, Seq2SeqConfig):
        return config.decoder_layers
    return 0 if isinstance(config, BERTConfig) else config.n_layer


def _attention_weights(config: TransformerConfig) -> int:
    return 2 * config.d_model * (config.d_model + config.kv_heads * config.d_head)


def _attention_parameters(config: TransformerConfig) -> int:
    biases = 2 * (config.d_model + config.kv_heads * config.d_head) if config.bias else 0
    return _attention_weights(config) + biases


def _mlp_weights(config: TransformerConfig) -> int:
    return (3 if config.mlp in GATED else 2) * config.d_model * config.ff_width


def _mlp_parameters(config: TransformerConfig) -> int:
    n_inner = 2 if config.mlp in GATED else 1
    biases = n_inner * config.ff_width + config.d_model if config.bias else 0
    return _mlp_weights(config) + biases


def _norm_parameters(config: TransformerConfig) -> int:
    return config.d_model * (2 if config.norm == "layernorm" and config.bias else 1)


def _square(config: TransformerConfig) -> int:
    return config.d_model * config.d_model + config.d_model


def _forward_flops(config: TransformerConfig, length: int) -> int:
    active = config.n_expert_active if config.n_expert else 1
    block = _attention_weights(config) + active * _mlp_weights(config)
    block += config.n_expert * config.d_model
    n_block = _n_block(config)
    n_cross = config.decoder_layers if isinstance(config, Seq2SeqConfig) else 0
    weights = n_block * block + n_cross * _attention_weights(config)
    if not isinstance(config, BERTConfig):
        weights += config.d_model * config.vocab_size
    elif config.mlm_head:
        weights += config.d_model * (config.d_model + config.vocab_size)
    return 2 * weights + (n_block + n_cross) * 4 * config.d_model * length


def _kept_numbers(config: TransformerConfig) -> int | None:
    """Numbers per token that the backward pass needs, each storage counted once.

    A norm keeps its input, its statistics and its output (RMSNorm also the unscaled one); fused
    attention q, k, v, its output and one log-sum per head; the loss its log-probabilities.
    """
    if not isinstance(config, GPTConfig) or not config.norm_first:
        return None
    if config.n_expert or config.dropout or config.position == "alibi" or config.window:
        return None
    width = config.d_model
    norm = 3 * width + 1 if config.norm == "rmsnorm" else 2 * width + 2
    block = 2 * norm + 4 * width + config.n_head + KEPT_BY_MLP[config.mlp] * config.ff_width
    return config.n_layer * block + norm + config.vocab_size
