"""Writing fast: a GPT made ready to read one new token at a time.

What a single token costs is the reading of all weights once, and around it many small steps
that each cost more to start than to do. So the matrices are laid out for one vector, those that
read the same input are joined, queries meet their keys without a copy, and the step can be
compiled into one call. The logits are the model's, up to the order of additions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.config import TransformerConfig
from llmbook.models import GPT
from llmbook.nn import KVCache, RMSNorm, attend
from llmbook.nn.mlp import activate
from llmbook.quantize import QuantisedLinear

COMPILED: dict[str, Any] = {"cpp_wrapper": True, "size_asserts": False}
"""The calls between kernels in C++, and no check of shapes that the compiler itself chose."""

AT_ONCE = 8
"""Tokens that one call of `Prepared.greedy` writes."""


class Prepared:
    """A GPT, called like one, that reads single tokens several times faster.

    Give it to `llmbook.generate` in the model's place. What is not a single token with a cache
    of all tokens before it (a prompt, ragged rows, a sliding window, ALiBi, experts, norms
    after the sums) is left to the model itself.

    Args:
        model: in evaluation mode, its weights as they will stay: they are copied.
        context_length: room for so many tokens, at most the model's. The compiled step
            attends to all of the room, so give no more than prompt and answer need.
        compile: compile the step (needs a C++ compiler, and half a minute at the first token
            of each batch size). What quantised weights need to be fast.

    Source: Pope et al. 2023, section 2 (a decoding step is bound by reading the weights).
    Taught in chapter 10.
    """

    def __init__(
        self, model: GPT, context_length: int | None = None, compile: bool = False
    ) -> None:
        room = model.config.context_length if context_length is None else context_length
        if not 1 <= room <= model.config.context_length:
            raise ValueError(
                f"context_length={room}: give 1 to the model's {model.config.context_length}"
            )
        self.model, self.config = model, model.config.replace(context_length=room)
        self.token_embedding = model.token_embedding
        self.step: Callable[..., Tensor] | None = None
        self.steps: Callable[..., Tensor] | None = None
        self.compiled = compile
        if not _is_supported(model.config):
            return
        with torch.no_grad():
            step = _Step(model)
        self.step = step.read
        if compile:
            self.step = torch.compile(step.read, fullgraph=True, options=COMPILED)
            self.steps = torch.compile(step.write, fullgraph=True, options=COMPILED)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.model.device

    def __call__(
        self, ids: Int[Tensor, "B T"], *, cache: KVCache | None = None, **named: Any
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token that follows each position; see `GPT.hidden` for the arguments."""
        alone = all(value is None for value in named.values())
        if self.step is None or cache is None or ids.shape[1] != 1 or not alone or not cache.length:
            return self.model(ids, cache=cache, **named)
        n = cache.length
        if n >= cache.layers[0].keys.shape[2]:
            return self.model(ids, cache=cache)  # which says that there is no room
        buffers = [(layer.keys, layer.values) for layer in cache.layers]
        with torch.inference_mode():
            logits = self.step(ids[:, 0], torch.tensor([n]) if self.compiled else n, buffers)
        for layer in cache.layers:
            layer.length = n + 1
        return logits[:, None]

    @torch.inference_mode()
    def greedy(self, ids: Int[Tensor, "B T"], max_new_tokens: int) -> Int[Tensor, "B N"]:
        """The prompts and their most probable continuation, as `llmbook.generate` gives it.

        To call a compiled step of a small model takes as long as to do it. Here one call writes
        `AT_ONCE` tokens, which also takes that many times as long to compile.

        Raises:
            ValueError: made without ``compile``, a model that cannot be, or too many tokens.
        """
        n_prompt, end = ids.shape[1], ids.shape[1] + max_new_tokens
        if self.steps is None:
            raise ValueError(
                "greedy needs Prepared(model, compile=True) and a model that `Prepared` can step: "
                "use llmbook.generate, which gives the same tokens"
            )
        if end > self.config.context_length:
            raise ValueError(
                f"{end} tokens do not fit into context_length={self.config.context_length}: ask "
                "for fewer, or use llmbook.generate, which slides a window"
            )
        cache = KVCache(self.config, len(ids), ids.device, self.token_embedding.weight.dtype)
        new = [self.model(ids, cache=cache)[:, -1:].argmax(dim=-1)]
        buffers = [(layer.keys, layer.values) for layer in cache.layers]
        for n in range(n_prompt, end - 1, AT_ONCE):
            new.append(self.steps(new[-1][:, -1], torch.tensor([n], device=ids.device), buffers))
        return torch.cat([ids, *new], dim=1)[:, :end]


class _Place(NamedTuple):
    """Where the new token stands: its number, its rotation, and for a compiled step a mask."""

    here: int | Tensor
    turn: tuple[Tensor, Tensor] | None
    mask: Tensor | None


class _Linear(NamedTuple):
    """A matrix stored (d_in, d_out), which is read faster for one vector."""

    weight: Tensor
    bias: Tensor | None


class _Norm(NamedTuple):
    weight: Tensor
    bias: Tensor | None
    eps: float
    rms: bool


class _Layer(NamedTuple):
    """The weights of a block, those that read the same input joined."""

    attention_norm: _Norm
    qkv: _Linear | QuantisedLinear
    out: _Linear | QuantisedLinear
    mlp_norm: _Norm
    up: _Linear | QuantisedLinear
    down: _Linear | QuantisedLinear


class _Step:
    """Plain tuples and functions: looking up a module's parts takes as long as a small product."""

    def __init__(self, model: GPT) -> None:
        self.config, self.token_embedding = model.config, model.token_embedding
        self.layers = [_layer(block) for block in model.blocks]
        self.norm, self.output = _norm(model.norm), _join(model.output)
        learned = model.position_embedding
        self.positions = model.waves if learned is None else learned.weight
        self.turns: tuple[Tensor, Tensor] | None = None
        if model.config.position == "rope":
            half = model.config.d_head // 2
            sign = torch.cat([-torch.ones(half), torch.ones(half)]).to(model.device)
            self.turns = (model.rope_cos, model.rope_sin * sign)

    def read(
        self, token: Int[Tensor, " B"], index: int | Tensor, buffers: list[tuple[Tensor, Tensor]]
    ) -> Float[Tensor, "B V"]:
        x, mask = self.token_embedding(token), None
        if isinstance(index, Tensor):
            room = torch.arange(buffers[0][0].shape[2], device=x.device)
            mask = (room <= index)[None]  # (T, S), T = 1
        if self.positions is not None:
            x = x + self.positions[index]
        turn = None if self.turns is None else (self.turns[0][index], self.turns[1][index])
        place = _Place(index, turn, mask)
        for layer, (keys, values) in zip(self.layers, buffers, strict=True):
            x = x + self._attend(_normed(x, layer.attention_norm), layer, place, keys, values)
            h = _times(_normed(x, layer.mlp_norm), layer.up)
            if self.config.mlp == "swiglu":
                gate, h = h.chunk(2, dim=-1)
                h = F.silu(gate) * h
            else:
                h = activate(h, self.config.mlp)
            x = x + _times(h, layer.down)
        return _times(_normed(x, self.norm), self.output)

    def write(
        self, token: Int[Tensor, " B"], index: Tensor, buffers: list[tuple[Tensor, Tensor]]
    ) -> Int[Tensor, "B AT_ONCE"]:
        """Tokens that follow, each the most probable; those beyond the room mean nothing."""
        new, last = [], buffers[0][0].shape[2] - 1
        for ahead in range(AT_ONCE):
            token = self.read(token, (index + ahead).clamp(max=last), buffers).argmax(dim=-1)
            new.append(token)
        return torch.stack(new, dim=1)

    def _attend(self, x: Tensor, layer: _Layer, at: _Place, keys: Tensor, values: Tensor) -> Tensor:
        n_row, n_kv_head, d_head = x.shape[0], self.config.kv_heads, self.config.d_head
        n_turned = self.config.n_head + n_kv_head
        qkv = _times(x, layer.qkv).view(n_row, -1, d_head)
        qk, v = qkv[:, :n_turned], qkv[:, n_turned:]
        if at.turn is not None:
            turned = torch.cat([qk[..., d_head // 2 :], qk[..., : d_head // 2]], dim=-1)
            qk = torch.addcmul(qk * at.turn[0], turned, at.turn[1])
        # The queries of a group stand side by side, as if they were positions: no key is copied.
        q = qk[:, : self.config.n_head].reshape(n_row, n_kv_head, -1, d_head)
        k = qk[:, self.config.n_head :]
        if isinstance(at.here, int):
            end = at.here + 1
            keys[:, :, at.here], values[:, :, at.here] = k, v
            mixed = F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end])
        else:
            keys.index_copy_(2, at.here, k[:, :, None])
            values.index_copy_(2, at.here, v[:, :, None])
            mixed = attend(q, keys, values, at.mask)[0]
        return _times(mixed.reshape(n_row, -1), layer.out)


def _times(x: Tensor, layer: _Linear | QuantisedLinear) -> Tensor:
    if isinstance(layer, QuantisedLinear):
        return layer(x)
    if layer.bias is None:
        return torch.mm(x, layer.weight)
    return torch.addmm(layer.bias, x, layer.weight)


def _normed(x: Tensor, norm: _Norm) -> Tensor:
    if norm.rms:  # from steps that together start faster than PyTorch's one
        power = torch.linalg.vecdot(x, x)[..., None] / x.shape[-1]
        return x * torch.rsqrt(power + norm.eps) * norm.weight
    return F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps)


def _layer(block: Any) -> _Layer:
    attention, mlp = block.attention, block.mlp
    return _Layer(
        _norm(block.attention_norm),
        _join(attention.query, attention.key, attention.value),
        _join(attention.out),
        _norm(block.mlp_norm),
        _join(mlp.up) if mlp.gate is None else _join(mlp.gate, mlp.up),
        _join(mlp.down),
    )


def _norm(norm: Any) -> _Norm:
    return _Norm(norm.weight, getattr(norm, "bias", None), norm.eps, isinstance(norm, RMSNorm))


def _join(*layers: Any) -> _Linear | QuantisedLinear:
    """Layers that read the same input, as one."""
    if isinstance(layers[0], QuantisedLinear):
        return layers[0] if len(layers) == 1 else QuantisedLinear.joined(layers)
    weight = torch.cat([layer.weight for layer in layers])
    bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    return _Linear(weight.t().contiguous(), bias)


def _is_supported(config: TransformerConfig) -> bool:
    plain = config.window is None and config.n_expert == 0 and config.norm_first
    return plain and config.position != "alibi"
