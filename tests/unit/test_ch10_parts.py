"""The tiling player and the roofline explorer: their numbers, what they count and refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llmbook import web
from llmbook.config import GPTConfig
from llmbook.describe import describe
from llmbook.nn import KVCache, attend, causal_mask
from llmbook.web.roofline import amount, estimate
from llmbook.web.tiling import moved, walk

T, S, D = 5, 7, 3


def head(n_query: int = T, n_key: int = S) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    sizes = (n_query, n_key, n_key)
    return [torch.randn(n, D, generator=made, dtype=torch.float64).round(decimals=2) for n in sizes]


def outputs(steps: list[dict]) -> np.ndarray:
    """Each row's accumulator over its sum, after the row's last tile."""
    last = {step["rows"]: step["acc"] / step["l"][:, None] for step in steps}
    return np.concatenate(list(last.values()))


# ---- tiles


@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (5, 7), (3, 2)])
def test_at_the_end_each_row_is_the_softmax_of_the_whole_row(tile):
    q, k, v = head()
    expected, _ = attend(q[None, None], k[None, None], v[None, None])
    np.testing.assert_allclose(outputs(walk(q, k, v, tile)), expected[0, 0], atol=1e-12)


@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (3, 2), (4, 5)])
def test_causal_tiles_give_causal_attention(tile):
    q, k, v = head(7)
    expected, _ = attend(q[None, None], k[None, None], v[None, None], causal_mask(7))
    np.testing.assert_allclose(
        outputs(walk(q, k, v, tile, causal=True)), expected[0, 0], atol=1e-12
    )


def test_a_tile_worked_by_hand():
    ln2 = float(np.log(2))  # scores 0, ln 2 | 2 ln 2: the weights are 1/7, 2/7, 4/7
    v = [[0.0], [7.0], [1.0]]
    first, second = walk([[1.0]], [[0.0], [0.69], [1.39]], v, (1, 2))
    assert first["factor"] == 0
    assert first["l"] == pytest.approx(1.5, abs=0.01)
    assert second["factor"] == pytest.approx(0.5, abs=0.01)
    assert second["l"] == pytest.approx(1.75, abs=0.01)
    assert second["m"] == pytest.approx(2 * ln2, abs=0.01)
    assert second["acc"] / second["l"] == pytest.approx(18 / 7, abs=0.05)


def test_bytes_moved_counted_by_hand():
    # Queries and outputs 2 · 15, L 5; keys and values 2 · 21 for each of three blocks of queries.
    assert moved(T, S, D, (2, 3)) == {"tiled": 30 + 5 + 3 * 42, "naive": 30 + 42 + 4 * 35}
    assert moved(T, S, D, (5, 1))["tiled"] == 35 + 42, "keys and values are read once"
    assert moved(4, 4, 1, (2, 2), causal=True)["tiled"] == 8 + 4 + 2 * (2 + 4)


def test_the_static_table_ends_with_all_bytes_and_every_output():
    q, k, v = head()
    made = web.tiling_player(q, k, v, tile=(2, 3), bytes_per_number=2)
    assert made.static.endswith(
        f"<td>{2 * moved(T, S, D, (2, 3))['tiled']}</td></tr></tbody></table>"
    )
    assert f"moves {2 * moved(T, S, D, (2, 3))['naive']} bytes" in made.static
    for number in outputs(walk(q, k, v, (2, 3))).ravel():
        assert f"{number:.3f}".replace("-", "−") in made.static
    assert made.data["q"][1][2] == round(100 * q[1, 2].item())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": (6, 1)}, "give 1 to 5 queries and 1 to 7 keys"),
        ({"q": np.ones((9, 3))}, "at most 8 and 4"),
        ({"q": np.ones((5, 2))}, r"must be \(T, D\)"),
        ({"v": np.ones((6, 3))}, r"must be \(T, D\)"),
        ({"q": np.full((5, 3), 10.0)}, "as large as 10.00"),
        ({"causal": True}, "causal needs as many of both"),
        ({"bytes_per_number": 0}, "give a positive number"),
    ],
)
def test_the_player_refuses_what_it_cannot_show(changes, message):
    q, k, v = head()
    given = {"q": q, "k": k, "v": v} | changes
    with pytest.raises(ValueError, match=message):
        web.tiling_player(given.pop("q"), given.pop("k"), given.pop("v"), **given)


# ---- the roofline


def shape(config: GPTConfig) -> dict:
    return {
        "name": "GPT-2",
        "n_params": describe(config).n_params,
        "n_read": describe(config).n_params - config.context_length * config.d_model,
        "n_layer": config.n_layer,
        "d_model": config.d_model,
        "n_kv_head": config.kv_heads,
        "d_head": config.d_head,
        "context_length": config.context_length,
    }


SMALL = GPTConfig.preset("gpt2")
LAPTOP = {"name": "laptop", "gb_per_s": 10.0, "gflops": 40.0, "source": "Measured."}


def test_cache_bytes_are_those_of_a_cache_that_is_full():
    config = SMALL.replace(context_length=128, n_layer=3, n_kv_head=4)
    cache = KVCache(config, 5, torch.device("cpu"), torch.float32)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert estimate(shape(config), LAPTOP, 2, 4, 5, 128)["kv_bytes"] == held


def test_operations_are_those_that_describe_counts():
    found = estimate(shape(SMALL), LAPTOP, 4, 4, 1, 1024)
    told = describe(SMALL, 1024).forward_flops  # leaves out norms and biases, which n_read holds
    assert found["decode"]["flops"] == pytest.approx(told, rel=2e-3)
    half = 2 * 12 * 768 * 1024 * 1023  # each query of a prompt sees the keys before it only
    assert found["prefill"]["flops"] == pytest.approx(1024 * told - half, rel=2e-3)


def test_a_bound_worked_by_hand():
    tiny = {"n_params": 10**9, "n_layer": 1, "d_model": 1, "n_kv_head": 1, "d_head": 1}
    found = estimate(tiny, LAPTOP, 4, 4, 1, 1)
    assert found["decode"]["tokens_per_s"] == pytest.approx(2.5)  # 4 GB at 10 GB/s
    assert found["decode"]["limit"] == "memory"
    many = estimate(tiny, LAPTOP, 4, 4, 16, 1)["decode"]
    assert many["limit"] == "arithmetic"  # intensity 8 against a ridge of 4
    assert many["tokens_per_s"] == pytest.approx(20)  # 2 GFLOP each at 40 GFLOP/s


def test_half_the_bytes_are_twice_the_bound_as_long_as_memory_binds():
    rates = [estimate(shape(SMALL), LAPTOP, b, b, 1, 512)["decode"]["tokens_per_s"] for b in (4, 2)]
    assert rates[1] == pytest.approx(2 * rates[0])


def test_amounts_have_three_digits_and_a_prefix():
    shown = [amount(v) for v in (0.5, 1, 9.995, 99.96, 999.6, 1234567)]
    assert shown == ["0.500", "1.00", "10.0", "100", "1.00 k", "1.23 M"]
    assert amount(75_497_472, "B") == "75.5 MB"


def test_the_explorer_keeps_whole_numbers_and_a_table_of_all():
    card = LAPTOP | {"name": "card", "gb_per_s": 2039, "gflops": 312_000, "memory_gb": 80}
    made = web.roofline_explorer([shape(SMALL)], [LAPTOP | {"gb_per_s": 15.61}, card], batch=4)
    assert made.data["machines"][0]["mb_per_s"] == 15_610
    assert made.data["machines"][1]["memory_mb"] == 80_000
    assert made.data["start"] == {
        "model": 0, "machine": 0, "weights": 0, "cache": 0, "batch": 2, "context": 10,
    }  # fmt: skip
    assert made.static.count("<tr>") == 3
    for machine in (LAPTOP | {"gb_per_s": 15.61}, card):
        found = estimate(shape(SMALL), machine, 4, 4, 4, 1024)
        assert f"<td>{amount(found['decode']['tokens_per_s'])}</td>" in made.static
        assert f"<td>{amount(found['prefill']['tokens_per_s'])}</td>" in made.static


def test_a_context_beyond_the_models_is_cut_in_the_table():
    made = web.roofline_explorer([shape(SMALL.replace(context_length=300))], [LAPTOP])
    assert "<td>256</td>" in made.static


@pytest.mark.parametrize(
    ("model", "machine", "options", "message"),
    [
        ({"n_layer": 0}, {}, {}, "n_layer is 0"),
        ({"d_head": 64.0}, {}, {}, "must be a whole number"),
        ({}, {"gb_per_s": 0}, {}, r"must lie in 0\.1"),
        ({}, {"gflops": 1e12}, {}, "gflops is"),
        ({}, {}, {"batch": 3}, "power of two"),
        ({}, {}, {"context": 0}, "at least 1 token"),
        ({}, {}, {"weights": "int3"}, "choose of float32"),
        ({}, {}, {"model": 1}, "model is 1, but 1 are given"),
    ],
)
def test_the_explorer_refuses_with_one_clear_sentence(model, machine, options, message):
    with pytest.raises(ValueError, match=message):
        web.roofline_explorer([shape(SMALL) | model], [LAPTOP | machine], **options)
