"""The KV cache: cached equals uncached, tokens can be taken back, rows reordered, a window slid."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.config import GPTConfig
from llmbook.models import GPT
from llmbook.nn import KVCache
from llmbook.nn import cache as cache_module
from llmbook.nn.cache import LayerCache

B, T = 3, 23
SPARE = 5
SHAPE = GPTConfig(31, 29, 2, 6, 24, n_kv_head=2, d_ff=37)
FAMILIES = {
    "llama": SHAPE,
    "gpt2": SHAPE.replace(position="learned", norm="layernorm", mlp="gelu", bias=True),
    "alibi": SHAPE.replace(position="alibi"),
    "window": SHAPE.replace(window=5),
    "window, alibi": SHAPE.replace(window=5, position="alibi"),
    "window of one": SHAPE.replace(window=1),
    "experts": SHAPE.replace(n_expert=3),
}
EVERY_FAMILY = pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES.keys())


def build(config: GPTConfig) -> GPT:
    """A model with weights large enough that a mistake shows."""
    torch.manual_seed(0)
    model = GPT(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def draw_ids(batch: int = B, length: int = T, seed: int = 1) -> torch.Tensor:
    return torch.randint(31, (batch, length), generator=torch.Generator().manual_seed(seed))


def read(model: GPT, ids: torch.Tensor, cuts: list[int], cache: KVCache) -> torch.Tensor:
    return torch.cat([model(part, cache=cache) for part in ids.split(cuts, dim=1)], dim=1)


@EVERY_FAMILY
@pytest.mark.parametrize("cuts", [[T], [1] * T, [2, 1, 13, 7], [17, 1, 1, 1, 3]], ids=str)
def test_cached_equals_uncached_however_the_text_is_cut(config, cuts):
    model, ids = build(config), draw_ids()
    cache = KVCache(config, batch_size=B)
    torch.testing.assert_close(read(model, ids, cuts, cache), model(ids))
    assert cache.length == T


@pytest.fixture(autouse=True)
def little_to_spare(monkeypatch):
    """A window's buffer of a few tokens, so that short texts make it roll."""
    monkeypatch.setattr(cache_module, "SPARE", SPARE)


@pytest.mark.parametrize("position", ["rope", "alibi", "none", "learned"])
@pytest.mark.parametrize("cuts", [[1] * 47, [19, 1, 2, 1, 24], [47], [5] * 9 + [2]], ids=len)
def test_a_window_much_shorter_than_the_text_holds_few_keys_and_changes_nothing(position, cuts):
    config = SHAPE.replace(window=7, context_length=53, position=position)
    model, ids = build(config), draw_ids(2, 47)
    cache = KVCache(config, batch_size=2)
    torch.testing.assert_close(read(model, ids, cuts, cache), model(ids))
    assert cache.layers[0].keys.shape[2] == 7 + 2 * SPARE
    assert cache.length == 47


@given(st.lists(st.tuples(st.integers(1, 17), st.integers(0, SPARE)), min_size=1, max_size=7))
@settings(max_examples=25, deadline=None)
def test_a_window_remembers_enough_to_go_back_by_its_spare_from_the_furthest_token(steps):
    config = SHAPE.replace(window=7, context_length=127, n_layer=1)
    model, cache = build(config), KVCache(config)
    text, furthest = torch.empty(1, 0, dtype=torch.long), 0
    for seed, (new, back) in enumerate(steps):
        text = torch.cat([text, draw_ids(1, new, seed)], dim=1)
        got = model(text[:, -new:], cache=cache)
        torch.testing.assert_close(got, model(text)[:, -new:])
        furthest = max(furthest, text.shape[1])
        text = text[:, : max(0, text.shape[1] - back, furthest - SPARE)]
        cache.truncate(text.shape[1])


@EVERY_FAMILY
def test_tokens_taken_back_leave_no_trace(config):
    model, ids, wrong = build(config), draw_ids(), draw_ids(seed=2)
    cache = KVCache(config, batch_size=B)
    model(ids[:, :11], cache=cache)
    model(wrong[:, :5], cache=cache)
    cache.truncate(11)
    torch.testing.assert_close(model(ids[:, 11:], cache=cache), model(ids)[:, 11:])


@EVERY_FAMILY
@pytest.mark.parametrize("index", [[2, 0, 0], [1], [0, 1, 2, 2, 1]], ids=str)
def test_reordered_rows_go_on_as_if_they_had_read_the_other_text(config, index):
    model, ids, cache = build(config), draw_ids(), KVCache(config, batch_size=B)
    model(ids[:, :13], cache=cache)
    cache.reorder(torch.tensor(index))
    torch.testing.assert_close(model(ids[index, 13:], cache=cache), model(ids[index])[:, 13:])


def test_reordering_keeps_a_buffer_of_the_same_size():
    cache = KVCache(SHAPE, batch_size=B)
    build(SHAPE)(draw_ids(), cache=cache)
    before = cache.layers[0].keys.data_ptr()
    cache.reorder(torch.tensor([2, 1, 1]))
    assert cache.layers[0].keys.data_ptr() == before


def test_memory_is_what_the_formula_says():
    cache = KVCache(SHAPE, batch_size=B, capacity=17)
    numbers = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert numbers == 2 * 2 * B * 2 * 17 * 4  # 2 · n_layer · B · n_kv_head · room · d_head


def test_a_full_cache_says_how_much_room_there_is():
    model, cache = build(SHAPE), KVCache(SHAPE, batch_size=B, capacity=13)
    model(draw_ids(length=11), cache=cache)
    with pytest.raises(ValueError, match="room for 13 tokens and would need 14: start a new"):
        model(draw_ids(length=3), cache=cache)


def test_a_batch_of_another_size_is_refused_rather_than_repeated():
    with pytest.raises(ValueError, match="keys of 1 sequences for a cache of 3"):
        build(SHAPE)(draw_ids(batch=1), cache=KVCache(SHAPE, batch_size=B))


def test_taking_back_more_than_was_read_or_than_a_window_remembers_is_refused():
    model, cache = build(SHAPE), KVCache(SHAPE, batch_size=B)
    model(draw_ids(length=11), cache=cache)
    for length in (-1, 12):
        with pytest.raises(ValueError, match=f"truncate to {length} tokens: 11 were read"):
            cache.truncate(length)
    layer = LayerCache(1, SHAPE, torch.device("cpu"), torch.float32, capacity=999, window=3)
    keys = torch.randn(1, 2, 307, 4)
    layer.append(keys, keys)
    with pytest.raises(ValueError, match=f"the first {307 - 2 - SPARE} are dropped"):
        layer.truncate(307 - SPARE - 1)
    layer.truncate(307 - SPARE)
