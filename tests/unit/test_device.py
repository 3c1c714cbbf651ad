"""Devices are chosen by name or by what is there, and chance is fixed by a seed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from llmbook import pick_device, seed_everything
from llmbook.device import autocast, choose_precision

CPU = torch.device("cpu")


def test_a_name_wins_over_the_environment_and_the_environment_over_the_choice(monkeypatch):
    monkeypatch.setenv("LLMBOOK_DEVICE", "cpu")
    assert pick_device() == CPU
    monkeypatch.setenv("LLMBOOK_DEVICE", "nonsense")
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_that_is_there_is_taken(monkeypatch, cuda, mps, expected):
    monkeypatch.delenv("LLMBOOK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device().type == expected


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'cuda' was asked for"):
        pick_device("cuda")
    with pytest.raises(ValueError, match="no device is called 'nonsense'"):
        pick_device("nonsense")


def test_a_seed_fixes_all_three_sources_of_chance():
    def draw() -> tuple[float, float, float]:
        seed_everything(7)
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    assert draw() == draw()


def test_bfloat16_is_chosen_only_where_the_hardware_multiplies_it(monkeypatch):
    for tiles, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda tiles=tiles: tiles)
        assert choose_precision("auto", CPU) == expected
    assert choose_precision("bfloat16", CPU) == torch.bfloat16
    assert choose_precision("float32", CPU) == torch.float32


def test_autocast_multiplies_in_the_given_format():
    a = torch.ones(2, 2)
    with autocast(CPU, torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(CPU, torch.float32):
        assert (a @ a).dtype == torch.float32
