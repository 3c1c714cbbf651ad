"""Marian, the hub's layout of the encoder–decoder Transformer: names, config.json, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmbook.config import Seq2SeqConfig
from llmbook.files import read_json
from llmbook.models import Seq2Seq
from llmbook.weights.build import fill
from llmbook.weights.hub import find_folder, read_weights
from llmbook.weights.layout import (
    hub_activation,
    our_activation,
    read_config,
    rename,
    write_folder,
)

_ATTENTION = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}
ENCODER_BLOCK = {
    **{f"attention.{ours}": f"self_attn.{theirs}" for ours, theirs in _ATTENTION.items()},
    "attention_norm": "self_attn_layer_norm",
    "mlp.up": "fc1",
    "mlp.down": "fc2",
    "mlp_norm": "final_layer_norm",
}
DECODER_BLOCK = {
    **ENCODER_BLOCK,
    **{f"cross_attention.{ours}": f"encoder_attn.{theirs}" for ours, theirs in _ATTENTION.items()},
    "cross_norm": "encoder_attn_layer_norm",
}
_SECOND_NAMES = (
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)
_TABLES = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")
"""Sines and cosines, which some files hold and `Seq2Seq` computes."""


def load_marian(name_or_folder: str | Path) -> Seq2Seq:
    """A translation model of the Marian family, from a folder in the hub's layout or by its name.

    Its tokenizer (SentencePiece) is not read: load it with ``transformers``. Targets begin with
    the id that config.json calls ``decoder_start_token_id``.

    Returns:
        The model in float32 and evaluation mode.

    Raises:
        FileNotFoundError: no such folder, or a file missing from it. Pickles are not read.
        ValueError: damaged files, or weights that do not fit the configuration.

    Source: Junczys-Dowmunt et al. 2018. Taught in chapter 19.
    """
    folder = find_folder(name_or_folder)
    config = marian_config(read_json(folder / "config.json"))
    tensors = read_weights(folder)
    if max(config.n_layer, config.decoder_layers) > len(tensors):
        raise ValueError(f"{folder}: more layers than the {len(tensors)} tensors can fill")
    shared = next((tensors[k] for k in _SECOND_NAMES if k in tensors), None)
    kept = {k: v for k, v in tensors.items() if k not in (*_SECOND_NAMES, *_TABLES)}
    if shared is not None:
        kept.setdefault("model.shared.weight", shared)
    bias = kept.pop("final_logits_bias", None)
    ours = rename(kept, {theirs: ours for ours, theirs in marian_names(config).items()})
    if bias is not None:
        ours["output.bias"] = bias.flatten()
    return fill(lambda: Seq2Seq(config), ours, folder)


def export_marian(model: Seq2Seq, folder: str | Path, *, start_id: int, end_id: int) -> Path:
    """Write a folder that ``transformers`` loads without remote code, and `load_marian` too.

    Args:
        model: what to write.
        folder: made if need be.
        start_id: what every target begins with; Marian also pads with it.
        end_id: what every target ends with.

    Raises:
        ValueError: the model's choices are not Marian's.
    """
    document = marian_document(model.config, start_id, end_id)
    tensors = rename(model.state_dict(), marian_names(model.config))
    del tensors["output.weight"]  # the embedding, under a second name
    tensors["final_logits_bias"] = tensors.pop("output.bias")[None]
    return write_folder(folder, document, tensors)


def marian_names(config: Seq2SeqConfig) -> dict[str, str]:
    """Our module names → Marian's."""
    stacks = {
        "encoder": (config.n_layer, ENCODER_BLOCK),
        "decoder": (config.decoder_layers, DECODER_BLOCK),
    }
    return {"token_embedding": "model.shared"} | {
        f"{stack}.{i}.{ours}": f"model.{stack}.layers.{i}.{theirs}"
        for stack, (n_layer, block) in stacks.items()
        for i in range(n_layer)
        for ours, theirs in block.items()
    }


def marian_config(document: dict[str, Any]) -> Seq2SeqConfig:
    """Our configuration of a Marian config.json.

    Raises:
        ValueError: another family, a missing size, or a variant that `Seq2Seq` does not have.
    """
    for field in ("share_encoder_decoder_embeddings", "tie_word_embeddings"):
        if document.get(field, True) is not True:
            raise ValueError(f"config.json: {field}={document[field]!r}, only true is supported")
    for field in ("attention_heads", "ffn_dim"):
        encoder, decoder = document.get(f"encoder_{field}"), document.get(f"decoder_{field}")
        if encoder != decoder:
            raise ValueError(
                f"config.json: encoder_{field}={encoder!r} and decoder_{field}={decoder!r}; "
                "Seq2Seq has one for both"
            )
    return read_config(
        document,
        "marian",
        lambda: Seq2SeqConfig(
            vocab_size=document["vocab_size"],
            context_length=document["max_position_embeddings"],
            n_layer=document["encoder_layers"],
            n_decoder_layer=document["decoder_layers"],
            n_head=document["encoder_attention_heads"],
            d_model=document["d_model"],
            d_ff=document["encoder_ffn_dim"],
            mlp=our_activation(document.get("activation_function", "gelu")),
            scale_embeddings=document.get("scale_embedding", False),
        ),
    )


def marian_document(config: Seq2SeqConfig, start_id: int, end_id: int) -> dict[str, Any]:
    """The config.json with which ``transformers`` builds the same model.

    Raises:
        ValueError: Marian does not have this combination of choices.
    """
    sizes = {"attention_heads": config.n_head, "ffn_dim": config.ff_width}
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "vocab_size": config.vocab_size,
        "decoder_vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "encoder_layers": config.n_layer,
        "decoder_layers": config.decoder_layers,
        "d_model": config.d_model,
        **{f"{side}_{k}": v for side in ("encoder", "decoder") for k, v in sizes.items()},
        "activation_function": hub_activation(config, position="sinusoidal", norm_eps=1e-5),
        "scale_embedding": config.scale_embeddings,
        "dropout": config.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "pad_token_id": start_id,
        "decoder_start_token_id": start_id,
        "eos_token_id": end_id,
        "forced_eos_token_id": None,
        "is_encoder_decoder": True,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
