"""What this installation is made of, for ``python -m llmbook info`` and for bug reports."""

from __future__ import annotations

import importlib.util
import platform
from typing import Any

import torch

from llmbook import __version__, pick_device
from llmbook.datasets import corpus_manifest
from llmbook.files import read_json
from llmbook.weights import book_model_path
from llmbook.weights.packages import PACKAGES, package_folder


def facts() -> dict[str, str]:
    """Name and value of each fact; a part that is missing is said to be missing."""
    return {
        "llmbook": __version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": _device(),
        "CPU threads": str(torch.get_num_threads()),
        "optional": _optional(),
        "model": _model(),
        "real weights": _real_weights(),
        "corpus": _corpus(),
        "exercises": _exercises(),
    }


def _device() -> str:
    device = pick_device()
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _optional() -> str:
    names = ("transformers", "tokenizers", "IPython", "ipywidgets", "sphinx", "nbval")
    here = [name for name in names if importlib.util.find_spec(name)]
    return ", ".join(here) or "none"


def _model() -> str:
    folder = book_model_path()
    try:
        config = read_json(folder / "config.json")
        size = (folder / "model.safetensors").stat().st_size
    except (OSError, ValueError):
        return f"missing from {folder}"
    layers, width = config.get("num_hidden_layers"), config.get("hidden_size")
    return f"{layers} layers, width {width}, {size / 1e6:.1f} MB, in {folder}"


def _real_weights() -> str:
    here, missing = [], []
    for module, requirement in PACKAGES.items():
        name = requirement.partition("==")[0]
        try:
            package_folder(module)
            here.append(name)
        except FileNotFoundError:
            missing.append(name)
    listed = ", ".join(here) or "none"
    return f"{listed} (missing: {', '.join(missing)}; run make weights)" if missing else listed


def _corpus() -> str:
    try:
        manifest: dict[str, Any] = corpus_manifest()
    except (OSError, ValueError) as error:
        return str(error)
    names = ", ".join(entry["source"] for entry in manifest["sources"])
    return f"{manifest['documents']:,} documents, {manifest['text_bytes'] / 1e6:.1f} MB: {names}"


def _exercises() -> str:
    from llmbook.exercises.core import chapter_exercises, chapters

    counted = {number: len(chapter_exercises(number)) for number in chapters()}
    listed = ", ".join(f"{n} in chapter {number}" for number, n in counted.items())
    return listed or "none"
