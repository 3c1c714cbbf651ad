"""Folders in the Hugging Face hub's layout: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from llmbook.config import GPTConfig
from llmbook.files import read_json, read_tensors, write_atomically
from llmbook.models import GPT
from llmbook.tokenizers import END_OF_TEXT, BPETokenizer
from llmbook.weights.build import fill
from llmbook.weights.hub_config import from_hub_config, to_hub_config
from llmbook.weights.layout import write_folder
from llmbook.weights.names import from_hub, to_hub

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def load_gpt2(name_or_folder: str | Path = "gpt2") -> tuple[GPT, BPETokenizer | None]:
    """GPT-2 in our own model, from a folder in the hub's layout or, online, by its name there.

    Returns:
        The model in float32 and evaluation mode, and its tokenizer, or None where the folder
        has none.

    Raises:
        FileNotFoundError: no such folder, or a file missing from it.
        ValueError: damaged files, or weights that do not fit the configuration.
        ConnectionError: a hub name, and no way to reach the hub.

    Source: Radford et al. 2019. Taught in chapter 17.
    """
    model, tokenizer = load_hub_folder(find_folder(name_or_folder))
    if model.config.position != "learned":
        raise ValueError(f"{name_or_folder} holds a Llama-style model, not GPT-2")
    return model, tokenizer


def load_hub_folder(folder: str | Path) -> tuple[GPT, BPETokenizer | None]:
    """A GPT-2 or Llama folder in the hub's layout, in float32; see `load_gpt2`."""
    folder = Path(folder)
    tensors = read_weights(folder)  # first: what it says of a missing file says most
    config = from_hub_config(read_json(folder / "config.json"))
    return build_model(config, tensors, folder), load_hub_tokenizer(folder)


def build_model(config: GPTConfig, tensors: dict[str, Tensor], source: str | Path) -> GPT:
    """A model of this configuration with the hub-named tensors as its weights.

    Raises:
        ValueError: tensors missing, left over, or of the wrong shape, named in the message.
    """
    if config.n_layer > len(tensors):  # before a hostile count builds a billion layers
        raise ValueError(f"{source}: {config.n_layer} layers, but only {len(tensors)} tensors")
    try:
        ours = from_hub(tensors, config)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise ValueError(f"{source}: a tensor is missing or misshapen: {error}") from None
    return fill(lambda: GPT(config), ours, source)


def load_hub_tokenizer(folder: str | Path) -> BPETokenizer | None:
    """The folder's byte-level BPE, from tokenizer.json; None where there is no such file."""
    path = Path(folder) / "tokenizer.json"
    return BPETokenizer.load(path) if path.exists() else None


def export_hf(
    model: GPT,
    tokenizer: BPETokenizer | None,
    folder: str | Path,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a folder that ``transformers`` loads without remote code, and `load_hub_folder` too.

    Args:
        model, tokenizer: what to write.
        folder: made if need be.
        dtype: number format of the stored weights; they are loaded as float32 again.

    Raises:
        ValueError: the model's choices are neither GPT-2's nor Llama's.
    """
    end_of_text = None if tokenizer is None else tokenizer.end_of_text_id
    document = to_hub_config(model.config, end_of_text)
    state = model.state_dict()
    if model.config.tie_embeddings:
        del state["output.weight"]
    tensors = {k: v.to("cpu", dtype) for k, v in to_hub(state, model.config).items()}
    folder = write_folder(folder, document, tensors)
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.config.context_length,
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "clean_up_tokenization_spaces": False,
        }
        content = json.dumps(settings, indent=2) + "\n"
        write_atomically(folder / "tokenizer_config.json", content.encode())
    return folder


def find_folder(name_or_folder: str | Path) -> Path:
    """The folder itself, or the one into which the hub's client puts a model of this name.

    Raises:
        ImportError: a hub name, and no client of the hub.
        ConnectionError: a hub name, and no way to reach the hub.
    """
    folder = Path(name_or_folder)
    return folder if folder.is_dir() else _download(str(name_or_folder))


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """All tensors of a folder: from model.safetensors, or from the parts that its index names.

    Raises:
        FileNotFoundError: no folder, no such file in it, or a part is missing.
        ValueError: a damaged file, or an index that does not fit its parts.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists():
        return read_tensors(folder / WEIGHTS)[0]
    if not (folder / INDEX).exists():
        _refuse_pickle(folder)
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(_is_name(part) for part in places.values()):
        raise ValueError(f"{folder / INDEX} does not say in which file beside it each tensor lies")
    tensors: dict[str, Tensor] = {}
    for part in sorted(set(places.values())):
        held, _ = read_tensors(folder / part)
        tensors |= {k: v for k, v in held.items() if places.get(k) == part}
    missing = sorted(set(places) - set(tensors))
    if missing:
        raise ValueError(f"{folder}: {missing[0]} is not in the file that {INDEX} names")
    return tensors


def _is_name(part: object) -> bool:
    return isinstance(part, str) and Path(part).name == part and part.endswith(".safetensors")


def _refuse_pickle(folder: Path) -> NoReturn:
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    pickles = sorted(p.name for p in folder.glob("*.bin"))
    hint = (
        f" It has {pickles[0]}, a pickle, which can run code and is never read." if pickles else ""
    )
    raise FileNotFoundError(
        f"{folder} has no {WEIGHTS}.{hint} Convert it with transformers: "
        "model.save_pretrained(folder)"
    )


def _download(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ImportError(
            f"no folder is called {name!r}, and loading it from the hub needs huggingface_hub: "
            "pip install 'llmbook[notebooks]'"
        ) from None
    try:
        files = ["config.json", "model*.safetensors", INDEX, "tokenizer.json"]
        return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:  # the hub's client raises many kinds
        raise ConnectionError(
            f"{name!r} is neither a folder nor to be had from the hub now "
            f"({type(error).__name__}): check the name and the network, or give a folder"
        ) from None
