"""Seq2Seq: laws of encoder, decoder and cross-attention; caches; Marian's layout in and out."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmbook.config import Seq2SeqConfig
from llmbook.describe import describe
from llmbook.generate import beam_search, generate
from llmbook.models import Seq2Seq, Trace
from llmbook.nn import sinusoidal_positions
from llmbook.weights import export_marian, load_marian

B, S, T, C, V = 3, 7, 5, 20, 89
SMALL = Seq2SeqConfig(V, 13, 2, 5, C, d_ff=23, n_decoder_layer=3)
POSITIONS = ("learned", "rope", "sinusoidal", "alibi", "none")


def build(config: Seq2SeqConfig = SMALL) -> Seq2Seq:
    torch.manual_seed(0)
    model = Seq2Seq(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
        else:
            torch.nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.1)
    return model


@pytest.fixture
def source() -> torch.Tensor:
    return torch.randint(2, V, (B, S), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def target() -> torch.Tensor:
    return torch.randint(2, V, (B, T), generator=torch.Generator().manual_seed(2))


@pytest.fixture
def mask() -> torch.Tensor:
    return torch.arange(S) < torch.tensor([S, 4, 1])[:, None]


def test_what_enters_the_first_block_is_the_scaled_embedding_and_the_waves(source):
    model, trace = build(), Trace()
    model.encode(source, trace=trace)
    expected = model.token_embedding(source) * C**0.5 + sinusoidal_positions(S, C)
    torch.testing.assert_close(trace.residual[0], expected)
    fresh = Seq2Seq(Seq2SeqConfig.preset("transformer-base", vocab_size=997))
    assert float(fresh.token_embedding.weight.detach().std()) * 512**0.5 == pytest.approx(
        1, rel=0.02
    )


def test_source_target_and_output_share_one_embedding():
    model = build()
    assert model.output.weight is model.token_embedding.weight
    untied = Seq2Seq(SMALL.replace(tie_embeddings=False))
    assert untied.n_params() == model.n_params() + V * C


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("changes", [{}, {"norm_first": True}, {"tie_embeddings": False}])
def test_the_parameters_are_those_described(position, changes):
    config = SMALL.replace(position=position, **changes)
    assert describe(config).n_params == Seq2Seq(config).n_params()


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_future_targets_cannot_change_the_past_and_every_source_token_counts(
    position, norm_first, source, target
):
    model = build(SMALL.replace(position=position, norm_first=norm_first))
    before = model(source, target)
    later = target.clone()
    later[:, 3:] = (later[:, 3:] + 1) % V
    torch.testing.assert_close(model(source, later)[:, :3], before[:, :3])
    for i in (0, S - 1):
        other = source.clone()
        other[:, i] = (other[:, i] + 1) % V
        assert (model(other, target) - before).abs().amin(dim=(0, 2)).min() > 0


@pytest.mark.parametrize("position", POSITIONS)
def test_padding_of_the_source_cannot_change_the_target(position, source, target, mask):
    model = build(SMALL.replace(position=position))
    padded = model(source, target, source_mask=mask)
    torch.testing.assert_close(padded[1:2], model(source[1:2, :4], target[1:2]))
    other = torch.where(mask, source, (source + 1) % V)
    assert torch.equal(model(other, target, source_mask=mask), padded)


def test_an_empty_source_gives_numbers_and_gradients(source, target, mask):
    model = build()
    mask[1] = False
    out = model(source, target, source_mask=mask)
    assert out.isfinite().all()
    out.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("changes", [{}, {"norm_first": True}, {"window": 3}, {"n_kv_head": 1}])
@pytest.mark.parametrize("steps", [(1, 1, 1, 1, 1), (3, 2), (1, 4)])
def test_cached_equals_uncached(position, changes, steps, source, target, mask):
    model = build(SMALL.replace(position=position, **changes))
    expected = model(source, target, source_mask=mask)
    memory = model.encode(source, mask)
    cache, memory_cache = model.caches(memory)
    pieces = [
        model.decode(part, memory, mask, cache, memory_cache=memory_cache)
        for part in target.split(steps, dim=1)
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected)
    assert (cache.length, memory_cache.length) == (T, S)


def test_keys_of_the_memory_are_computed_once(source, target):
    model, calls = build(), []
    model.decoder[1].cross_attention.key.register_forward_hook(lambda *_: calls.append(1))
    generate(model.given(source), target[:, :1], max_new_tokens=6, temperature=0)
    assert len(calls) == 1


def test_traces_hold_states_and_weights_of_both_stacks(source, target, mask):
    model, encoder, decoder = build(), Trace(), Trace()
    memory = model.encode(source, mask, encoder)
    logits = model.decode(target, memory, mask, trace=decoder)
    assert [len(encoder.residual), len(decoder.residual)] == [3, 4]
    assert [w.shape for w in encoder.attention] == [(B, 5, S, S)] * 2
    assert [w.shape for w in decoder.attention] == [(B, 5, T, T)] * 3
    assert [w.shape for w in decoder.cross_attention] == [(B, 5, T, S)] * 3
    assert decoder.cross_attention[0][1, ..., 4:].abs().max() == 0
    torch.testing.assert_close(logits, model(source, target, source_mask=mask))


def test_generating_is_decoding_step_by_step(source, mask):
    model = build()
    ids = torch.zeros(B, 1, dtype=torch.long)
    written = generate(model.given(source, mask), ids, max_new_tokens=9, temperature=0)
    for _ in range(9):
        new = model(source, ids, source_mask=mask)[:, -1].argmax(-1)
        ids = torch.cat([ids, new[:, None]], dim=1)
    assert torch.equal(written, ids)
    uncached = generate(
        model.given(source, mask), ids[:, :1], max_new_tokens=9, temperature=0, use_cache=False
    )
    assert torch.equal(uncached, ids)


def test_targets_that_begin_with_different_lengths_are_written_as_if_alone(source, mask):
    model = build(SMALL.replace(norm_first=True))
    prompts = [[0, 5, 6], [0], [0, 7]]
    together = generate(model.given(source, mask), prompts, max_new_tokens=6, temperature=0)
    for b, prompt in enumerate(prompts):
        given = model.given(source[b : b + 1], mask[b : b + 1])
        alone = generate(given, [prompt], max_new_tokens=6, temperature=0)
        assert together[b] == alone[0]


def test_a_source_serves_several_rows_and_several_calls(source, mask):
    model = build()
    given = model.given(source[1:2], mask[1:2])
    one = generate(given, torch.zeros(1, 1, dtype=torch.long), max_new_tokens=5, temperature=0)
    four = generate(given, torch.zeros(4, 1, dtype=torch.long), max_new_tokens=5, temperature=0)
    assert torch.equal(four, one.expand(4, -1))
    again = generate(given, torch.zeros(1, 1, dtype=torch.long), max_new_tokens=5, temperature=0)
    assert torch.equal(again, one)
    with pytest.raises(ValueError, match="4 target rows for 3 sources"):
        model.given(source)(torch.zeros(4, 1, dtype=torch.long))


@pytest.fixture(scope="module")
def taught() -> tuple[Seq2Seq, torch.Tensor, torch.Tensor]:
    """A small model, texts, and what it has learnt to write for them: the texts backwards."""
    torch.manual_seed(0)
    model = Seq2Seq(SMALL.replace(n_layer=1, n_decoder_layer=1))
    source = torch.randint(2, V, (B, S))
    target = torch.cat([torch.zeros(B, 1, dtype=torch.long), source.flip(1)], dim=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        logits = model(source, target[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    return model.eval(), source, target


def test_what_was_learnt_is_written(taught):
    model, source, target = taught
    written = generate(model.given(source), target[:, :1], max_new_tokens=S, temperature=0)
    assert torch.equal(written, target)


def test_what_cannot_be_read_is_refused(source, target):
    model = build()
    with pytest.raises(ValueError, match="14 tokens do not fit"):
        model(torch.zeros(1, 14, dtype=torch.long), torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="14 tokens do not fit"):
        model(torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 14, dtype=torch.long))
    with pytest.raises(ValueError, match="token id 89"):
        model(source, torch.full((B, 1), V))


# Marian's layout --------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"mlp": "silu", "scale_embeddings": False}])
def test_export_and_load_give_the_same_model_back(changes, source, target, tmp_path):
    model = build(SMALL.replace(**changes))
    loaded = load_marian(export_marian(model, tmp_path, start_id=0, end_id=1))
    assert loaded.config == model.config
    assert torch.equal(loaded(source, target), model(source, target))


def test_transformers_writes_the_same_greedy_tokens_and_the_same_beams(taught, mask, tmp_path):
    transformers = pytest.importorskip("transformers")
    model, source, _ = taught
    folder = export_marian(model, tmp_path, start_id=0, end_id=1)
    theirs = transformers.MarianMTModel.from_pretrained(folder).eval()
    settings = {"max_new_tokens": 11, "do_sample": False}
    greedy = theirs.generate(source, attention_mask=mask.long(), num_beams=1, **settings)
    start = torch.zeros(B, 1, dtype=torch.long)
    ours = generate(model.given(source, mask), start, max_new_tokens=11, temperature=0)
    assert ours.tolist() == greedy.tolist()
    assert len(set(greedy.flatten().tolist())) > 9
    row = {"input_ids": source[1:2], "attention_mask": mask[1:2].long()}
    best = theirs.generate(**row, num_beams=4, **settings)
    given = model.given(source[1:2], mask[1:2])
    found = beam_search(given, start[:1], max_new_tokens=11, n_beams=4, stop_id=1)
    assert found[0].ids.tolist() == best[0].tolist()


def test_a_file_that_repeats_the_embedding_and_stores_the_waves_loads(source, target, tmp_path):
    model = build()
    export_marian(model, tmp_path, start_id=0, end_id=1)
    tensors = load_file(tmp_path / "model.safetensors")
    shared = tensors.pop("model.shared.weight")
    for name in ("lm_head.weight", "model.encoder.embed_tokens.weight"):
        tensors[name] = shared.clone()
    tensors["model.encoder.embed_positions.weight"] = sinusoidal_positions(13, C)
    save_file(tensors, tmp_path / "model.safetensors")
    assert torch.equal(load_marian(tmp_path)(source, target), model(source, target))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bart"}, "'bart' is not 'marian'"),
        ({"decoder_attention_heads": 4}, "decoder_attention_heads=4"),
        ({"share_encoder_decoder_embeddings": False}, "only true is supported"),
        ({"activation_function": "mish"}, "activation 'mish'"),
        ({"decoder_layers": 10**9}, "more layers than"),
        ({"encoder_layers": 3}, "do not fit"),
        ({"max_position_embeddings": 10**12}, "is over"),
        ({"d_model": "20"}, "wrong kind|d_model='20'"),
    ],
)
def test_a_configuration_that_lies_is_refused(changes, message, tmp_path):
    export_marian(build(), tmp_path, start_id=0, end_id=1)
    document = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(document | changes))
    with pytest.raises(ValueError, match=message):
        load_marian(tmp_path)


def test_what_is_no_marian_is_not_exported(tmp_path):
    for changes, message in (
        ({"norm_first": True}, "norm_first=True"),
        ({"position": "alibi"}, "position='alibi'"),
        ({"tie_embeddings": False}, "tie_embeddings=False"),
        ({"norm_eps": 1e-6}, "norm_eps=1e-06"),
    ):
        with pytest.raises(ValueError, match=message):
            export_marian(Seq2Seq(SMALL.replace(**changes)), tmp_path, start_id=0, end_id=1)
