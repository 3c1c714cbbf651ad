"""The one description of a decoder: every size and every choice, frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

Position = Literal["learned", "rope"]
Norm = Literal["layernorm", "rmsnorm"]
MLP = Literal["gelu", "swiglu"]


@dataclass(frozen=True)
class GPTConfig:
    """Sizes and choices of a decoder-only Transformer.

    Counts are ``n_``, widths are ``d_``. ``n_kv_head`` below ``n_head`` gives grouped-query
    attention (Ainslie et al. 2023); left out, every head has its own keys and values.

    Args:
        vocab_size: number of tokens the model can read and write.
        context_length: most tokens it can look at, itself included.
        n_layer: number of blocks.
        n_head: query heads per block; must divide ``d_model``.
        d_model: width of the residual stream.
        n_kv_head: key and value heads; must divide ``n_head``.
        d_ff: hidden width of the feed-forward layer. Default: ``4 * d_model`` for GELU and
            two thirds of that, rounded up to a multiple of 32, for SwiGLU (Shazeer 2020).
        position: ``learned`` (GPT-2) or ``rope`` (Su et al. 2021).
        norm: ``layernorm`` (Ba et al. 2016) or ``rmsnorm`` (Zhang and Sennrich 2019).
        mlp: ``gelu`` (GPT-2) or ``swiglu`` (Llama).
        bias: whether linear layers add a bias.
        tie_embeddings: whether the output layer reuses the input embedding (Press and Wolf 2017).
        rope_base: base of the rotation frequencies.
        norm_eps: added under the square root of a norm.
        dropout: probability of zeroing an activation while training.

    Raises:
        ValueError: a size that cannot work, with the value and the remedy.

    Taught in chapters 8 and 12.
    """

    vocab_size: int
    context_length: int
    n_layer: int
    n_head: int
    d_model: int
    n_kv_head: int | None = None
    d_ff: int | None = None
    position: Position = "rope"
    norm: Norm = "rmsnorm"
    mlp: MLP = "swiglu"
    bias: bool = False
    tie_embeddings: bool = True
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context_length", "n_layer", "n_head", "d_model"):
            _require_positive(name, getattr(self, name))
        if self.n_kv_head is None:
            object.__setattr__(self, "n_kv_head", self.n_head)
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", _default_d_ff(self.d_model, self.mlp))
        _require_positive("n_kv_head", self.n_kv_head)
        _require_positive("d_ff", self.d_ff)
        _require_divides("n_head", self.n_head, "d_model", self.d_model)
        _require_divides("n_kv_head", self.kv_heads, "n_head", self.n_head)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {allowed}")
        if self.position == "rope" and self.d_head % 2:
            raise ValueError(
                f"d_head = d_model / n_head = {self.d_head} is odd: RoPE turns pairs of "
                "numbers, so choose sizes that make it even"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout}: give a probability from 0 up to 1")

    @property
    def d_head(self) -> int:
        """Width of one head, the d_k of the papers."""
        return self.d_model // self.n_head

    @property
    def kv_heads(self) -> int:
        """``n_kv_head`` once the default is filled in."""
        assert self.n_kv_head is not None
        return self.n_kv_head

    @property
    def ff_width(self) -> int:
        """``d_ff`` once the default is filled in."""
        assert self.d_ff is not None
        return self.d_ff

    def replace(self, **changes: Any) -> GPTConfig:
        """The same configuration with some fields changed."""
        return replace(self, **changes)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> GPTConfig:
        """A named configuration; ``changes`` replace single fields.

        Sources of the shapes: GPT-2, Radford et al. 2019; SmolLM2, Allal et al. 2025;
        ``book`` and ``book-small`` are this book's own (chapter 12).

        Raises:
            KeyError: the name is not a preset; the message lists those there are.
        """
        if name not in _PRESETS:
            raise KeyError(f"no preset {name!r}: choose one of {sorted(_PRESETS)}")
        return cls(**{**_PRESETS[name], **changes})


_CHOICES = {
    "position": ("learned", "rope"),
    "norm": ("layernorm", "rmsnorm"),
    "mlp": ("gelu", "swiglu"),
}

_GPT2: dict[str, Any] = {
    "vocab_size": 50_257,
    "context_length": 1024,
    "position": "learned",
    "norm": "layernorm",
    "mlp": "gelu",
    "bias": True,
    "tie_embeddings": True,
}

_PRESETS: dict[str, dict[str, Any]] = {
    "gpt2": {**_GPT2, "n_layer": 12, "n_head": 12, "d_model": 768},
    "gpt2-medium": {**_GPT2, "n_layer": 24, "n_head": 16, "d_model": 1024},
    "gpt2-large": {**_GPT2, "n_layer": 36, "n_head": 20, "d_model": 1280},
    "gpt2-xl": {**_GPT2, "n_layer": 48, "n_head": 25, "d_model": 1600},
    "smollm2-135m": {
        "vocab_size": 49_152,
        "context_length": 8192,
        "n_layer": 30,
        "n_head": 9,
        "n_kv_head": 3,
        "d_model": 576,
        "d_ff": 1536,
        "rope_base": 100_000.0,
    },
    "book": {
        "vocab_size": 4096,
        "context_length": 256,
        "n_layer": 6,
        "n_head": 4,
        "d_model": 256,
    },
    "book-small": {
        "vocab_size": 4096,
        "context_length": 256,
        "n_layer": 4,
        "n_head": 4,
        "d_model": 64,
        "d_ff": 192,
    },
    "tiny": {"vocab_size": 512, "context_length": 64, "n_layer": 2, "n_head": 2, "d_model": 32},
}


def _default_d_ff(d_model: int, mlp: str) -> int:
    if mlp == "gelu":
        return 4 * d_model
    return -(-(8 * d_model // 3) // 32) * 32


def _require_positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: give a whole number of at least 1")


def _require_divides(small_name: str, small: int, big_name: str, big: int) -> None:
    if big % small:
        raise ValueError(
            f"{small_name}={small} does not divide {big_name}={big}: "
            f"choose {big_name} a multiple of {small_name}"
        )
