"""BERT: laws of an encoder, its published sizes, and the hub's layout in and out."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from llmbook.config import BERTConfig
from llmbook.describe import describe
from llmbook.models import BERT, Trace, mean_pool
from llmbook.tokenizers import WordPieceTokenizer
from llmbook.weights import export_bert, load_bert

B, T, C, V = 3, 7, 20, 89
SMALL = BERTConfig(V, 11, 2, 5, C, d_ff=23)
POSITIONS = ("learned", "rope", "sinusoidal", "alibi", "none")
TEXT = "the cat and the hat and the bat. it is a truth, that a single man must be in want. " * 9


def build(config: BERTConfig = SMALL) -> BERT:
    torch.manual_seed(0)
    model = BERT(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def tokenizer() -> WordPieceTokenizer:
    return WordPieceTokenizer.train(TEXT, vocab_size=V)


def test_the_published_sizes():
    with torch.device("meta"):
        sizes = {
            name: BERT(BERTConfig.preset(name, mlm_head=False)).n_params()
            for name in ("bert-base", "bert-large", "minilm-l6")
        }
    # Counted in the published checkpoints (with pooler, without heads).
    assert sizes == {"bert-base": 109_482_240, "bert-large": 335_141_888, "minilm-l6": 22_713_216}


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("changes", [{}, {"norm_first": True}, {"mlm_head": False}])
def test_the_parameters_are_those_described(position, changes):
    config = SMALL.replace(position=position, **changes)
    assert describe(config).n_params == BERT(config).n_params()
    untied = config.replace(tie_embeddings=False)
    assert describe(untied).n_params == BERT(untied).n_params()


@pytest.mark.parametrize("position", POSITIONS)
def test_every_token_sees_every_other_one(position, ids):
    model = build(SMALL.replace(position=position))
    before = model(ids).hidden
    ids[:, -1] = (ids[:, -1] + 1) % V
    assert (model(ids).hidden - before).abs().amin(dim=(0, 2)).min() > 0


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_padding_cannot_change_a_token_s_output(position, norm_first, ids):
    model = build(SMALL.replace(position=position, norm_first=norm_first))
    alone = model(ids[:, :4])
    mask = torch.arange(T).expand(B, T) < 4
    padded = model(ids, mask=mask)
    torch.testing.assert_close(padded.hidden[:, :4], alone.hidden)
    torch.testing.assert_close(padded.logits[:, :4], alone.logits)
    torch.testing.assert_close(padded.pooled, alone.pooled)
    other = torch.where(mask, ids, (ids + 1) % V)
    assert torch.equal(model(other, mask=mask).hidden[mask], padded.hidden[mask])


def test_without_positions_permuted_tokens_give_permuted_outputs(ids):
    model = build(SMALL.replace(position="none"))
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    torch.testing.assert_close(model(ids[:, order]).hidden, model(ids).hidden[:, order])
    placed = build(SMALL)
    assert (placed(ids[:, order]).hidden - placed(ids).hidden[:, order]).abs().max() > 0.1


def test_no_mask_is_a_mask_of_tokens_only(ids):
    model = build()
    everything = torch.ones(B, T, dtype=torch.bool)
    torch.testing.assert_close(model(ids, mask=everything).hidden, model(ids).hidden)


def test_a_text_of_padding_only_gives_numbers_and_disturbs_nobody(ids):
    model = build()
    mask = torch.ones(B, T, dtype=torch.bool)
    mask[1] = False
    out = model(ids, mask=mask)
    assert out.hidden.isfinite().all()
    torch.testing.assert_close(out.hidden[[0, 2]], model(ids[[0, 2]]).hidden)
    out.logits.square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_segments_matter_and_none_means_the_first(ids):
    model = build()
    first = torch.zeros_like(ids)
    assert torch.equal(model(ids, types=first).hidden, model(ids).hidden)
    assert not torch.equal(model(ids, types=first + 1).hidden, model(ids).hidden)


def test_the_trace_holds_every_state_and_weights_that_sum_to_one(ids):
    model, trace = build(), Trace()
    mask = torch.arange(T).expand(B, T) < 5
    out = model(ids, mask=mask, trace=trace)
    assert [x.shape for x in trace.residual] == [(B, T, C)] * 3
    assert [w.shape for w in trace.attention] == [(B, 5, T, T)] * 2
    torch.testing.assert_close(trace.attention[0].sum(-1), torch.ones(B, 5, T))
    assert trace.attention[1][..., 5:].abs().max() == 0
    torch.testing.assert_close(out.hidden, model(ids, mask=mask).hidden)


def test_heads_are_there_only_where_asked_for(ids):
    bare = BERT(SMALL.replace(pooler=False, mlm_head=False))(ids)
    assert bare.pooled is None
    assert bare.logits is None
    assert build()(ids).logits.shape == (B, T, V)
    assert build()(ids).pooled.shape == (B, C)


def test_the_head_reads_with_the_embeddings_and_a_bias(ids):
    model = build()
    assert model.head.output.weight is model.token_embedding.weight
    hidden = model(ids).hidden
    transformed = model.head.norm(torch.nn.functional.gelu(model.head.dense(hidden)))
    expected = transformed @ model.token_embedding.weight.T + model.head.output.bias
    torch.testing.assert_close(model(ids).logits, expected)


def test_the_mean_over_tokens_by_hand():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]], [[5.0, 5.0]] * 3])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_pool(hidden, mask).tolist() == [[2.0, 4.0], [0.0, 0.0]]


def test_masked_tokens_of_one_batch_can_be_learnt():
    torch.manual_seed(0)
    model = BERT(SMALL)
    ids = torch.randint(1, V, (B, T))
    hidden = torch.zeros(B, T, dtype=torch.bool)
    hidden[:, 2::3] = True
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        logits = model(ids.masked_fill(hidden, 0)).logits
        loss = torch.nn.functional.cross_entropy(logits[hidden], ids[hidden])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_what_cannot_be_read_is_refused(ids):
    model = build()
    with pytest.raises(ValueError, match="12 tokens do not fit into context_length=11"):
        model(torch.zeros(1, 12, dtype=torch.long))
    with pytest.raises(ValueError, match="token id 89 is outside"):
        model(torch.full((1, 2), V))


# the hub's layout -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"mlm_head": False}, {"pooler": False, "mlp": "relu", "norm_eps": 1e-6}]
)
def test_export_and_load_give_the_same_model_back(changes, ids, tokenizer, tmp_path):
    model = build(SMALL.replace(**changes))
    loaded, loaded_tokenizer = load_bert(export_bert(model, tokenizer, tmp_path))
    assert loaded.config == model.config
    assert loaded_tokenizer.vocab == tokenizer.vocab
    for ours, theirs in zip(loaded(ids), model(ids), strict=True):
        assert ours is theirs is None or torch.equal(ours, theirs)


def test_a_pipeline_fills_the_same_masks(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = build(SMALL.replace(vocab_size=tokenizer.vocab_size, context_length=31))
    folder = export_bert(model, tokenizer, tmp_path)
    fill = transformers.pipeline("fill-mask", model=str(folder), tokenizer=str(folder))
    text = "the cat and [MASK] hat"
    theirs = [(found["token"], found["score"]) for found in fill(text, top_k=5)]
    encoded = tokenizer.encode_batch([text], allowed_special=["[MASK]"])
    place = encoded.ids[0].tolist().index(tokenizer.mask_id)
    best = model(encoded.ids).logits[0, place].softmax(-1).topk(5)
    assert [token for token, _ in theirs] == best.indices.tolist()
    assert [score for _, score in theirs] == pytest.approx(best.values.tolist(), rel=1e-4)


def test_a_checkpoint_with_the_old_names_and_the_next_sentence_head_loads(ids, tmp_path):
    model = build()
    export_bert(model, None, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for key, tensor in tensors.items()
    }
    old["cls.seq_relationship.weight"] = torch.zeros(2, C)
    old["cls.seq_relationship.bias"] = torch.zeros(2)
    old["bert.embeddings.position_ids"] = torch.arange(11)[None]
    old["cls.predictions.decoder.weight"] = tensors[
        "bert.embeddings.word_embeddings.weight"
    ].clone()
    save_file(old, tmp_path / "model.safetensors")
    loaded, tokenizer = load_bert(tmp_path)
    assert tokenizer is None
    assert torch.equal(loaded(ids).logits, model(ids).logits)


def test_vocab_txt_is_read_where_there_is_no_tokenizer_json(tokenizer, tmp_path):
    export_bert(build(), None, tmp_path)
    tokenizer.save(tmp_path / "vocab.txt")
    assert load_bert(tmp_path)[1].lowercase
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not load_bert(tmp_path)[1].lowercase


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "'gpt2' is not 'bert'"),
        ({"hidden_act": "mish"}, "activation 'mish'"),
        ({"position_embedding_type": "relative_key"}, "'relative_key' is not supported"),
        ({"hidden_size": None}, "wrong kind|d_model=None"),
        ({"num_hidden_layers": 10**9}, "1000000000 layers, but only"),
        ({"num_hidden_layers": 3}, "do not fit"),
        ({"vocab_size": 10**12}, "do not fit"),
        ({"max_position_embeddings": 10**12}, "is over"),
        ({"num_attention_heads": 7}, "does not divide"),
        ({"type_vocab_size": 3}, "do not fit"),
    ],
)
def test_a_configuration_that_lies_is_refused_before_memory_is_taken(changes, message, tmp_path):
    export_bert(build(), None, tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(document | changes))
    with pytest.raises(ValueError, match=message):
        load_bert(tmp_path)


def test_a_missing_field_and_a_pickle_are_named(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    export_bert(build(), None, tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    del document["hidden_size"]
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="lacks 'hidden_size'"):
        load_bert(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin"):
        load_bert(tmp_path)


def test_what_is_no_bert_is_not_exported(tmp_path):
    for changes, message in (
        ({"position": "rope", "d_model": 20}, "position='rope'"),
        ({"norm_first": True}, "norm_first=True"),
        ({"mlp": "swiglu"}, "mlp='swiglu'"),
        ({"n_kv_head": 1}, "n_kv_head=1"),
    ):
        with pytest.raises(ValueError, match=message):
            export_bert(BERT(SMALL.replace(**changes)), None, tmp_path)


@given(data=st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_folder_loads_or_gives_a_documented_error(data, tmp_path):
    folder = tmp_path / "damaged"
    names = ("model.safetensors", "config.json", "tokenizer.json")
    if not folder.exists():
        export_bert(build(), WordPieceTokenizer.train(TEXT, vocab_size=V), folder)
        for name in names:
            (folder / name).rename(folder / f"{name}.good")
    for name in names:
        content = bytearray((folder / f"{name}.good").read_bytes())
        reach = min(len(content), 3000)
        for _ in range(data.draw(st.integers(0, 2))):
            content[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
        (folder / name).write_bytes(content[:cut])
    try:
        model, _ = load_bert(folder)
    except (ValueError, FileNotFoundError):
        return
    assert isinstance(model, BERT)
