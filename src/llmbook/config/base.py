"""What every Transformer of the book is described by, and the checks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeVar, get_args

Config = TypeVar("Config", bound="TransformerConfig")
Position = Literal["learned", "rope", "sinusoidal", "alibi", "none"]
Norm = Literal["layernorm", "rmsnorm"]
Activation = Literal["gelu", "gelu_erf", "relu", "relu2", "silu", "swiglu"]


@dataclass(frozen=True)
class RopeScaling:
    """How RoPE's angles are stretched to reach further than a model was trained.

    ``linear`` divides every angle by ``factor`` (position interpolation, Chen et al. 2023).
    ``llama3`` divides only slow turns: those with fewer than ``low_freq_factor`` turns within
    ``original_context`` by ``factor``, those with more than ``high_freq_factor`` not at all,
    those between in proportion (Grattafiori et al. 2024, section 3.2).
    """

    kind: Literal["linear", "llama3"]
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "llama3"):
            raise ValueError(f"RoPE scaling of kind {self.kind!r}: choose linear or llama3")
        if not 1 <= self.factor < float("inf"):
            raise ValueError(f"factor={self.factor}: give a number of at least 1")
        if not 0 < self.low_freq_factor < self.high_freq_factor < float("inf"):
            raise ValueError(
                f"low_freq_factor={self.low_freq_factor} and high_freq_factor="
                f"{self.high_freq_factor}: the first must be positive and below the second"
            )
        require_positive("original_context", self.original_context)


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and choices that all families share; build one of the families.

    Counts are ``n_``, widths are ``d_``. ``n_kv_head`` below ``n_head`` gives grouped-query
    attention (Ainslie et al. 2023); left out, every head has its own keys and values.

    Args:
        vocab_size: number of tokens the model can read and write.
        context_length: most tokens it can look at, itself included.
        n_layer: number of blocks.
        n_head: query heads per block; must divide ``d_model``.
        d_model: width of the residual stream.
        n_kv_head: key and value heads; must divide ``n_head``.
        d_ff: hidden width of the feed-forward layer. Default: ``4 * d_model``, and
            two thirds of that, rounded up to a multiple of 32, for SwiGLU (Shazeer 2020).
        position: ``learned`` (GPT-2), ``rope`` (Su et al. 2021), ``sinusoidal`` (Vaswani et al.
            2017), ``alibi`` (Press et al. 2022) or ``none``.
        norm: ``layernorm`` (Ba et al. 2016) or ``rmsnorm`` (Zhang and Sennrich 2019).
        mlp: ``gelu`` (the tanh form, GPT-2), ``gelu_erf`` (the exact one, BERT), ``relu``
            (Vaswani et al. 2017), ``relu2`` (So et al. 2021), ``silu`` or ``swiglu`` (Llama).
        bias: whether linear layers add a bias.
        tie_embeddings: whether the output layer reuses the input embedding (Press and Wolf 2017).
        rope_base: base of the rotation frequencies.
        norm_eps: added under the square root of a norm.
        dropout: probability of zeroing an activation while training.
        norm_first: norms before each sub-block (GPT-2) or after its residual sum (BERT).
        rope_scaling: see `RopeScaling`.
        window: how many keys a causal query sees, its own included (Beltagy et al. 2020);
            None means all.
        n_expert: feed-forward layers per block among which a router chooses; 0 means one
            layer and no router (Shazeer et al. 2017).
        n_expert_active: how many of them work on each token.

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
    mlp: Activation = "swiglu"
    bias: bool = False
    tie_embeddings: bool = True
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5
    dropout: float = 0.0
    norm_first: bool = True
    rope_scaling: RopeScaling | None = None
    window: int | None = None
    n_expert: int = 0
    n_expert_active: int = 2

    _presets: ClassVar[dict[str, dict[str, Any]]] = {}

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context_length", "n_layer", "n_head", "d_model"):
            require_positive(name, getattr(self, name))
        if self.n_kv_head is None:
            object.__setattr__(self, "n_kv_head", self.n_head)
        if self.d_ff is None:
            object.__setattr__(self, "d_ff", _default_d_ff(self.d_model, self.mlp))
        require_positive("n_kv_head", self.n_kv_head)
        require_positive("d_ff", self.d_ff)
        _require_divides("n_head", self.n_head, "d_model", self.d_model)
        _require_divides("n_kv_head", self.kv_heads, "n_head", self.n_head)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {allowed}")
        self._check_positions()
        self._check_experts()
        for name in ("rope_base", "norm_eps"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)}: give a positive number")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout}: give a probability from 0 up to 1")

    def _check_positions(self) -> None:
        if self.position == "rope" and self.d_head % 2:
            raise ValueError(
                f"d_head = d_model / n_head = {self.d_head} is odd: RoPE turns pairs of "
                "numbers, so choose sizes that make it even"
            )
        if self.position == "sinusoidal" and self.d_model % 2:
            raise ValueError(
                f"d_model={self.d_model} is odd: half of the position's numbers are sines and "
                "half cosines, so choose an even one"
            )
        if self.rope_scaling is not None and self.position != "rope":
            raise ValueError(f"rope_scaling needs position='rope', not {self.position!r}")
        if self.window is not None:
            require_positive("window", self.window)

    def _check_experts(self) -> None:
        if self.n_expert == 0:
            return
        require_positive("n_expert", self.n_expert)
        require_positive("n_expert_active", self.n_expert_active)
        if self.n_expert_active > self.n_expert:
            raise ValueError(
                f"n_expert_active={self.n_expert_active} of n_expert={self.n_expert}: choose at "
                "most as many as there are"
            )

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

    def replace(self: Config, **changes: Any) -> Config:
        """The same configuration with some fields changed."""
        return replace(self, **changes)

    @classmethod
    def preset(cls: type[Config], name: str, **changes: Any) -> Config:
        """A named configuration; ``changes`` replace single fields.

        Raises:
            KeyError: the name is not a preset; the message lists those there are.
        """
        if name not in cls._presets:
            raise KeyError(f"no preset {name!r}: choose one of {sorted(cls._presets)}")
        return cls(**{**cls._presets[name], **changes})


_CHOICES = {"position": get_args(Position), "norm": get_args(Norm), "mlp": get_args(Activation)}


def _default_d_ff(d_model: int, mlp: str) -> int:
    if mlp != "swiglu":
        return 4 * d_model
    return -(-(8 * d_model // 3) // 32) * 32


def require_positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: give a whole number of at least 1")


def _require_divides(small_name: str, small: int, big_name: str, big: int) -> None:
    if big % small:
        raise ValueError(
            f"{small_name}={small} does not divide {big_name}={big}: "
            f"choose {big_name} a multiple of {small_name}"
        )
