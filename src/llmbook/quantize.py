"""Weights in 8 or 4 bits: a quarter or a seventh of the memory to read for each token.

Only the weights are rounded. Activations stay in float32, and each weight becomes a float
again at the moment it is used, so that every bound on the rounding is a bound on the model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor, nn

from llmbook.config import GPTConfig, RopeScaling
from llmbook.files import read_tensors, write_atomically
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights.gguf_blocks import Q41
from llmbook.weights.layout import refuse_long_context
from llmbook.weights.llama import load_gguf, load_gguf_blocks

ROWS_AT_A_TIME = 256
STREAMS = 4  # parts of a row that are read side by side: one sum would wait for itself


class QuantisedLinear(nn.Module):
    """y = W x + b with W stored in 8 or 4 bits: W = scale · codes + minimum.

    8 bits: ``codes`` int8 (d_out, d_in) and one ``scale`` per row; the minimum is left out,
    because codes from -127 to 127 lie around zero. 4 bits: codes 0 … 15, two in a byte of
    ``codes`` uint8 (d_out, n_group, group / 2), a scale and a minimum for each group of
    neighbours in a row. Byte j of a group holds its number j in the low half and number
    j + group / 2 in the high half, as GGUF's Q4_1 does.

    Source: Dettmers et al. 2022, section 2 (scales per row); Dettmers and Zettlemoyer 2023,
    section 2 (blocks of few bits). Taught in chapter 17.
    """

    codes: Tensor
    scale: Tensor
    minimum: Tensor | None
    bias: Tensor | None

    def __init__(
        self, codes: Tensor, scale: Tensor, minimum: Tensor | None, bias: Tensor | None = None
    ) -> None:
        super().__init__()
        per_code = 1 if minimum is None else 2
        self.in_features, self.out_features = codes[0].numel() * per_code, codes.shape[0]
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("minimum", minimum)
        self.register_buffer("bias", bias)

    @classmethod
    def from_float(
        cls, weight: Float[Tensor, "O I"], bias: Tensor | None, bits: int, group_size: int
    ) -> QuantisedLinear:
        """Round a matrix to the nearest codes: no weight moves by more than half its scale."""
        weight = weight.detach().float()
        bias = None if bias is None else bias.detach().clone()
        if bits == 8:
            scale = _positive(weight.abs().amax(dim=1, keepdim=True) / 127)
            return cls((weight / scale).round().to(torch.int8), scale, None, bias)
        if weight.shape[1] % group_size:
            raise ValueError(
                f"group_size={group_size} does not divide rows of {weight.shape[1]} weights: "
                "choose an even number that does"
            )
        groups = weight.unflatten(1, (-1, group_size))  # (O, N, G)
        low, high = groups.aminmax(dim=-1, keepdim=True)
        scale = _positive((high - low) / 15)
        codes = ((groups - low) / scale).round().clamp(0, 15).to(torch.uint8)
        first, second = codes.chunk(2, dim=-1)
        return cls(first | (second << 4), scale[..., 0], low[..., 0], bias)

    @classmethod
    def from_blocks(cls, blocks: Q41, bias: Tensor | None = None) -> QuantisedLinear:
        """The 4-bit blocks of a GGUF file as they are; scales and minima stay in 16 bits."""
        return cls(blocks.nibbles, blocks.scale, blocks.minimum, bias)

    @classmethod
    def joined(cls, layers: Sequence[QuantisedLinear]) -> QuantisedLinear:
        """Layers that read the same input, as one that gives their outputs side by side."""

        def stack(name: str) -> Tensor | None:
            pieces = [getattr(layer, name) for layer in layers]
            return None if pieces[0] is None else torch.cat(pieces)

        codes, scale = torch.cat([x.codes for x in layers]), torch.cat([x.scale for x in layers])
        return cls(codes, scale, stack("minimum"), stack("bias"))

    def dequantise(self) -> Float[Tensor, "O I"]:
        """The matrix that the codes stand for."""
        return self.rows(slice(None))

    def rows(self, index: slice | Tensor) -> Float[Tensor, "... I"]:
        """Some rows of it; those of a tied output layer are the embeddings of tokens."""
        codes, scale = self.codes[index], self.scale[index].float()
        if self.minimum is None:
            return codes * scale
        numbers = torch.cat([codes & 15, codes >> 4], dim=-1) * scale[..., None]
        return (numbers + self.minimum[index].float()[..., None]).flatten(-2)

    def forward(self, x: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        """Multiply with the dequantised matrix.

        Compiled, and for one vector, the codes are read once and turned into floats in the
        processor's registers. Otherwise some rows of the matrix are made at a time, so few that
        they are still in the processor's cache when they are multiplied.
        """
        if not torch.compiler.is_compiling() or x.shape[:-1].numel() != 1:
            some = (slice(i, i + ROWS_AT_A_TIME) for i in range(0, len(self.codes), ROWS_AT_A_TIME))
            y = torch.cat([self._product(x, rows) for rows in some], dim=-1)
            return y if self.bias is None else y + self.bias
        y = self._dot(x.flatten()).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias

    def _product(self, x: Float[Tensor, "... I"], rows: slice) -> Float[Tensor, "... R"]:
        if self.minimum is not None:
            return F.linear(x, self.rows(rows))
        codes, scale = self.codes[rows].float(), self.scale[rows, 0]
        return F.linear(x, codes) * scale  # to scale the products costs less than the codes

    def _dot(self, x: Float[Tensor, " I"]) -> Float[Tensor, " O"]:
        x = x.as_strided(x.shape, (1,))  # else the compiler computes x anew for every row
        if self.minimum is None:
            parts = STREAMS if len(x) % STREAMS == 0 else 1
            pairs = zip(self.codes.chunk(parts, dim=-1), x.chunk(parts), strict=True)
            first, *others = [codes.float() * y for codes, y in pairs]
            return sum(others, start=first).sum(-1) * self.scale[:, 0]
        scale, minimum = self.scale.float()[..., None], self.minimum.float()[..., None]
        first, second = x.view(self.scale.shape[1], -1).chunk(2, dim=-1)  # (N, G / 2) each
        low, high = (self.codes & 15).float(), (self.codes >> 4).float()
        products = (low * scale + minimum) * first + (high * scale + minimum) * second
        return products.sum(dim=(-2, -1))


class QuantisedEmbedding(nn.Module):
    """Token embeddings read from the rows of a quantised matrix, which the output layer shares."""

    def __init__(self, matrix: QuantisedLinear) -> None:
        super().__init__()
        self._matrix = (matrix,)  # in a tuple it is no submodule: its codes are saved once

    @property
    def weight(self) -> Tensor:
        """The scales: they tell where the table lives and in which format it answers."""
        return self._matrix[0].scale

    def forward(self, ids: Int[Tensor, "..."]) -> Float[Tensor, "... C"]:
        """One dequantised row for each token id."""
        return self._matrix[0].rows(ids)


def quantize(model: GPT, bits: int = 8, group_size: int = 32) -> GPT:
    """Round the weights of a model's linear layers, in place.

    The output layer is the largest matrix and is rounded too, to 8 bits in either case. Where
    the embeddings are tied to it, they are its rows. Positions, norms and biases stay as they are.

    Args:
        model: in evaluation mode; it can no longer be trained.
        bits: 8 (one scale per output row) or 4 (a scale and a minimum per group).
        group_size: neighbours that share them; must be even and divide the rows.

    Returns:
        The same model.

    Raises:
        ValueError: another number of bits, or groups that do not fit.

    Taught in chapter 17.
    """
    if bits not in (4, 8):
        raise ValueError(f"bits={bits}: choose 8 or 4")
    if bits == 4 and (group_size < 2 or group_size % 2):
        raise ValueError(f"group_size={group_size}: choose an even number, such as 32")
    linear = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    made = {}
    for name, layer in linear.items():
        width = 8 if name == "output" else bits
        made[name] = QuantisedLinear.from_float(layer.weight, layer.bias, width, group_size)
    return _replace(model, made)


def load_gguf_quantised(path: str | Path) -> tuple[GPT, BPETokenizer]:
    """A model whose matrices are a GGUF file's Q4_1 blocks as they are, and its tokenizer.

    What the file stores in another format (SmolLM2: the embeddings, which are tied to the
    output layer) is rounded to 8 bits per row.

    Raises:
        FileNotFoundError, ValueError: as `llmbook.weights.load_gguf`.
    """
    model, tokenizer = load_gguf(path)
    made = {}
    for name, blocks in load_gguf_blocks(path).items():
        module = name.removesuffix(".weight")
        bias = model.state_dict().get(f"{module}.bias")
        made[module] = QuantisedLinear.from_blocks(blocks, bias)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and name not in made:
            made[name] = QuantisedLinear.from_float(layer.weight, layer.bias, 8, 0)
    return _replace(model, made), tokenizer


def save_quantised(model: GPT, path: str | Path) -> None:
    """Write a quantised model to one safetensors file: codes, scales, and its configuration.

    Taught in chapter 17.
    """
    tensors = {name: tensor.cpu().clone() for name, tensor in model.state_dict().items()}
    header = {"quantised": json.dumps(asdict(model.config))}
    write_atomically(path, save(tensors, metadata=header))


def load_quantised(path: str | Path) -> GPT:
    """The model that `save_quantised` wrote, in evaluation mode: the same logits, bit for bit.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or holds something else.
    """
    tensors, header = read_tensors(path)
    try:
        fields = json.loads(header["quantised"])
        if fields.get("rope_scaling"):
            fields["rope_scaling"] = RopeScaling(**fields["rope_scaling"])
        config = GPTConfig(**fields)
        refuse_long_context(config)
        model, made = GPT(config), {}
        for name in sorted(n.removesuffix(".codes") for n in tensors if n.endswith(".codes")):
            parts = (
                tensors.get(f"{name}.{part}") for part in ("codes", "scale", "minimum", "bias")
            )
            made[name] = QuantisedLinear(*parts)  # type: ignore[arg-type]
            if (made[name].out_features, made[name].in_features) != _shape(model, name):
                raise ValueError(f"{name} has another shape than the configuration says")
        _replace(model, made).load_state_dict(tensors)
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} holds no quantised model: {error}") from None
    return model.eval()


def n_bytes(model: nn.Module) -> int:
    """Bytes of a model's weights: codes, scales, and what stays in floats; tables not counted."""
    tensors = {tensor.data_ptr(): tensor.nbytes for tensor in model.state_dict().values()}
    return sum(tensors.values())


def _replace(model: GPT, made: dict[str, QuantisedLinear]) -> GPT:
    for name, layer in made.items():
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, layer)
    if model.config.tie_embeddings:
        model.token_embedding = QuantisedEmbedding(made["output"])  # type: ignore[assignment]
    return model.requires_grad_(False)


def _shape(model: GPT, name: str) -> tuple[int, ...]:
    return tuple(model.get_submodule(name).weight.shape)  # type: ignore[arg-type]


def _positive(scale: Tensor) -> Tensor:
    """Where all weights are equal any scale will do, but not 0, by which they are divided."""
    return torch.where(scale > 0, scale, 1.0)
