"""A model around tensors from a file: every shape checked, no weight drawn and then replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Model = TypeVar("Model", bound=nn.Module)

_INITIAL = {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.xavier_uniform_}
_INITIAL |= {nn.init.trunc_normal_, nn.init.zeros_, nn.init.ones_, nn.init.constant_}


class _Unfilled(TorchFunctionMode):
    """New weights have a shape and no memory; what is computed, such as rotations, is real."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _INITIAL:
            return args[0] if args else kwargs["tensor"]
        if func is torch.empty:
            kwargs = kwargs | {"device": "meta"}
        return func(*args, **kwargs)


def fill(make: Callable[[], Model], tensors: Mapping[str, Tensor], source: str | Path) -> Model:
    """The model that ``make`` builds with these tensors as its weights, in evaluation mode.

    Weights that two modules share are given once, under the first of their names.

    Args:
        make: builds the model.
        tensors: our parameter names → weights of any floating-point format; kept in float32.
        source: what errors are about.

    Raises:
        ValueError: tensors missing, left over, or of the wrong shape, named in the message.
    """
    try:
        with torch.device("meta"):  # shapes alone: a hostile size is refused before it costs
            model = make()
    except (TypeError, RuntimeError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ValueError(f"{source}: no model has its configuration's sizes: {reason}") from None
    twice = dict(_shared(model))
    wanted = {k: tuple(v.shape) for k, v in model.state_dict().items() if k not in twice}
    tensors = {k: v for k, v in tensors.items() if k not in twice}
    found = {k: tuple(v.shape) for k, v in tensors.items()}
    wrong = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if wrong:
        k = wrong[0]
        raise ValueError(
            f"{source}: {len(wrong)} tensors do not fit its configuration; {k} has shape "
            f"{found.get(k, 'none')} and should have {wanted.get(k, 'none')}"
        )
    with _Unfilled():
        model = make()
    model.load_state_dict({k: _own(v) for k, v in tensors.items()}, assign=True, strict=False)
    for name, first in twice.items():
        module, _, kind = name.rpartition(".")
        setattr(model.get_submodule(module), kind, model.get_parameter(first))
    return model.eval()


def _shared(model: nn.Module) -> Iterator[tuple[str, str]]:
    """(Second name, first name) of every parameter that has two."""
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first = names.setdefault(id(parameter), name)
        if first != name:
            yield name, first


def _own(tensor: Tensor) -> Tensor:
    """In float32 and in memory of its own: not a window into a file or into another tensor."""
    own = tensor.float().contiguous()
    return own if own.untyped_storage().nbytes() == own.nbytes else own.clone()
