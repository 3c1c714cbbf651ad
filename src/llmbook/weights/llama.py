"""The Llama family in our own model: from a folder in the hub's layout, or from a GGUF file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llmbook.config import GPTConfig, RopeScaling
from llmbook.models import GPT
from llmbook.tokenizers import END_OF_TEXT, BPETokenizer
from llmbook.tokenizers.pretokenizers import GGUF_NAMES
from llmbook.weights.build import fill
from llmbook.weights.gguf import GGUFFile, GGUFTensor, read_gguf
from llmbook.weights.gguf_blocks import Q41
from llmbook.weights.hub import find_folder, load_hub_folder
from llmbook.weights.layout import refuse_long_context
from llmbook.weights.names import gguf_names

_NOT_SUPPORTED = (
    "llama.expert_count",
    "llama.attention.sliding_window",
    "llama.attention.clamp_kqv",
)
_CONTROL_TOKENS = (3, 4)
"""Kinds of token in GGUF that are special: control tokens, and those that a user added."""


def load_llama(name_or_folder: str | Path) -> tuple[GPT, BPETokenizer | None]:
    """A Llama-style model from a folder in the hub's layout or, online, by its name there.

    Returns:
        The model in float32 and evaluation mode, and its tokenizer, or None where the folder
        has none.

    Raises:
        FileNotFoundError: no such folder, or a file missing from it.
        ValueError: damaged files, weights that do not fit the configuration, GPT-2.
        ConnectionError: a hub name, and no way to reach the hub.

    Source: Touvron et al. 2023. Taught in chapter 17.
    """
    model, tokenizer = load_hub_folder(find_folder(name_or_folder))
    if model.config.position != "rope":
        raise ValueError(f"{name_or_folder} holds GPT-2, not a Llama-style model: use load_gpt2")
    return model, tokenizer


def load_gguf(path: str | Path) -> tuple[GPT, BPETokenizer]:
    """A Llama-style model and its tokenizer from one GGUF file, its weights in float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: damaged, another architecture, or a variant that `GPT` does not have.

    Taught in chapter 17.
    """
    file, config = _read_llama(path)
    try:
        tokenizer = gguf_tokenizer(file.metadata)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: its tokenizer cannot be read ({str(error)[:300]})") from None
    tensors = {}
    for name, tensor, order in _our_tensors(path, file, config):
        numbers = tensor.dequantize()
        tensors[name] = numbers if order is None else numbers[order]
    return fill(lambda: GPT(config), tensors, path), tokenizer


def load_gguf_blocks(path: str | Path) -> dict[str, Q41]:
    """Our parameter names → the 4-bit blocks of a Llama's GGUF file, rows in our order.

    Only tensors stored as Q4_1 are in it: SmolLM2's matrices, but not its embedding and norms.

    Raises:
        FileNotFoundError, ValueError: as `load_gguf`.
    """
    return {
        name: tensor.blocks if order is None else tensor.blocks.rows(order)
        for name, tensor, order in _our_tensors(path, *_read_llama(path))
        if tensor.kind == "Q4_1"
    }


def half_split_rows(name: str, config: GPTConfig) -> Tensor | None:
    """Which row of a GGUF's query or key matrix is each row of ours; None for other tensors.

    GGUF's RoPE turns neighbours, numbers 2i and 2i + 1 of a head, and ours numbers i and
    i + D/2. So row s·D/2 + i of a head (s = 0 or 1) is the file's row 2i + s of that head.

    Source: Su et al. 2021, section 3.4.2; the ggml project's converter, which permutes them.
    """
    heads = {"attention.query": config.n_head, "attention.key": config.kv_heads}
    n_head = next((n for part, n in heads.items() if f".{part}." in name), None)
    if n_head is None:
        return None
    stored = torch.arange(n_head * config.d_head).view(n_head, config.d_head // 2, 2)
    return stored.transpose(1, 2).flatten()


def gguf_config(file: GGUFFile) -> GPTConfig:
    """Our configuration of a Llama's GGUF file.

    Raises:
        KeyError: an entry is missing.
        ValueError: another architecture, or a variant that `GPT` does not have.
    """
    meta, sizes = file.metadata, file.tensors["token_embd.weight"].shape
    if meta["general.architecture"] != "llama":
        raise ValueError(f"its architecture is {meta['general.architecture']!r}, not 'llama'")
    odd = [key for key in _NOT_SUPPORTED if meta.get(key)]
    if odd or "rope_freqs.weight" in file.tensors:
        raise ValueError(
            f"it uses {odd[0] if odd else 'rope_freqs.weight'}, which GPT does not have"
        )
    config = GPTConfig(
        vocab_size=sizes[0],
        context_length=meta["llama.context_length"],
        n_layer=meta["llama.block_count"],
        n_head=meta["llama.attention.head_count"],
        n_kv_head=meta.get("llama.attention.head_count_kv"),
        d_model=meta["llama.embedding_length"],
        d_ff=meta["llama.feed_forward_length"],
        bias="blk.0.attn_q.bias" in file.tensors,
        tie_embeddings="output.weight" not in file.tensors,
        rope_base=_positive(meta.get("llama.rope.freq_base", 10_000.0)),
        rope_scaling=_scaling(meta),
        norm_eps=_positive(meta["llama.attention.layer_norm_rms_epsilon"]),
    )
    turned = meta.get("llama.rope.dimension_count", config.d_head)
    widths = {meta.get(f"llama.attention.{n}_length", config.d_head) for n in ("key", "value")}
    if turned != config.d_head or widths != {config.d_head}:
        raise ValueError(f"its heads are {widths} wide and RoPE turns {turned} of {config.d_head}")
    refuse_long_context(config)
    if config.n_layer > len(file.tensors) or sizes[1:] != (config.d_model,):
        raise ValueError(
            f"{config.n_layer:,} layers of width {config.d_model:,} do not fit its "
            f"{len(file.tensors)} tensors and an embedding of shape {sizes}"
        )
    return config


def gguf_tokenizer(metadata: dict[str, Any]) -> BPETokenizer:
    """The byte-level BPE that a GGUF file carries.

    Raises:
        KeyError: an entry is missing.
        ValueError: another kind of tokenizer, or lists that do not fit each other.
    """
    kind, split = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre", "gpt2")
    if kind != "gpt2" or split not in GGUF_NAMES:
        raise ValueError(f"its tokenizer is {kind!r} with splitting {split!r}: not supported")
    names, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    merges = [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]]
    if not all(isinstance(name, str) for name in names) or any(len(m) != 2 for m in merges):
        raise ValueError("its tokens or merges are not texts")
    special = [n for n, kind in zip(names, kinds, strict=True) if kind in _CONTROL_TOKENS]
    last = metadata.get("tokenizer.ggml.eos_token_id", 0)
    return BPETokenizer.from_names(
        names,
        [(left, right) for left, right in merges],
        special,
        split=GGUF_NAMES[split],
        end_of_text=END_OF_TEXT if END_OF_TEXT in special else names[last],
        ignore_merges=GGUF_NAMES[split] == "llama3",
    )


def _read_llama(path: str | Path) -> tuple[GGUFFile, GPTConfig]:
    file = read_gguf(path)
    try:
        return file, gguf_config(file)
    except KeyError as error:
        raise ValueError(f"{path}: it lacks {error.args[0]!r}") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: {str(error)[:300]}") from None


def _our_tensors(
    path: str | Path, file: GGUFFile, config: GPTConfig
) -> Iterator[tuple[str, GGUFTensor, Tensor | None]]:
    """Our name of each tensor, the tensor, and the order of its rows where it is another."""
    ours = {theirs: name for name, theirs in gguf_names(config.n_layer).items()}
    for stored, tensor in file.tensors.items():
        module, _, kind = stored.rpartition(".")
        name = f"{ours.get(module, module)}.{kind}"
        order = half_split_rows(name, config)
        if order is not None and len(order) != tensor.shape[0]:
            raise ValueError(f"{path}: {stored} has {tensor.shape[0]} rows and needs {len(order)}")
        yield name, tensor, order


def _scaling(metadata: dict[str, Any]) -> RopeScaling | None:
    kind = metadata.get("llama.rope.scaling.type", "none")
    if kind == "none":
        return None
    if kind != "linear":
        raise ValueError(f"RoPE scaling of type {kind!r} is not supported")
    return RopeScaling("linear", _positive(metadata["llama.rope.scaling.factor"]))


def _positive(value: Any) -> float:
    """The number that a 32-bit float stands for: 1e-5, where it holds 9.99999974…e-06."""
    number = float(f"{float(value):.7g}")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{value!r} is no positive number")
    return number
