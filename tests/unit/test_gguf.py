"""GGUF: the reference package's numbers, rows put right for our RoPE, damaged files refused."""

from __future__ import annotations

import random
import struct
import time

import numpy as np
import pytest
import torch
from large_weights import build

from llmbook.config import GPTConfig, RopeScaling
from llmbook.nn import rope_rotation, rotate
from llmbook.tokenizers import BPETokenizer
from llmbook.tokenizers.bytes_alphabet import to_printable
from llmbook.weights import load_gguf, load_gguf_blocks, read_gguf
from llmbook.weights.gguf_blocks import KINDS, Q41
from llmbook.weights.llama import half_split_rows
from llmbook.weights.names import gguf_names

gguf = pytest.importorskip("gguf")

CONFIG = GPTConfig(269, 19, 2, 6, 96, n_kv_head=2, d_ff=64, rope_base=500.0, norm_eps=1e-4)
TEXT = "the cat and the hat and the bat " * 40


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(TEXT, vocab_size=CONFIG.vocab_size)


def write_llama(path, model, tokenizer, kind="F32", changes=None):
    """Write a model as the ggml project's converter does, with its own writer."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.context_length)
    writer.add_block_count(config.n_layer)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.ff_width)
    writer.add_head_count(config.n_head)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    if config.rope_scaling is not None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_scaling.factor)
    names = [to_printable(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)]
    names[-1] = "<|endoftext|>"
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(names)
    writer.add_token_types([1] * (len(names) - 1) + [3])
    writer.add_token_merges([f"{names[a]} {names[b]}" for a, b in tokenizer.merges])
    writer.add_eos_token_id(tokenizer.end_of_text_id)
    for key, value in (changes or {}).items():
        for part in writer.kv_data:
            part.pop(key, None)
        writer.add_uint32(key, value) if isinstance(value, int) else writer.add_string(key, value)
    theirs = gguf_names(config.n_layer)
    for name, tensor in model.state_dict().items():
        if name == "output.weight" and config.tie_embeddings:
            continue
        module, _, part = name.rpartition(".")
        array = tensor.numpy()
        heads = {"query": config.n_head, "key": config.kv_heads}.get(module.split(".")[-1])
        if heads:  # the line of the converter that the loader must undo
            halves = array.reshape(heads, 2, config.d_head // 2, *array.shape[1:])
            array = halves.swapaxes(1, 2).reshape(array.shape)
        stored = gguf.GGMLQuantizationType[kind if array.ndim == 2 else "F32"]
        packed = gguf.quants.quantize(array.astype(np.float32), stored)
        writer.add_tensor(f"{theirs[module]}.{part}", packed, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_format_gives_the_reference_packages_bits(kind):
    made = KINDS[kind]
    raw = np.random.default_rng(0).integers(0, 256, (37, made.n_bytes), dtype=np.uint8)
    reference = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])
    with np.errstate(invalid="ignore"):
        ours = made.dequantize(raw)
    assert ours.dtype == np.float32
    assert np.array_equal(ours, reference, equal_nan=True)
    assert made.number == gguf.GGMLQuantizationType[kind]
    assert (made.n_number, made.n_bytes) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]


def test_a_q4_1_block_worked_by_hand():
    halves = np.array([0.5, -1.0], np.float16).view(np.uint8)  # scale and minimum
    nibbles = np.zeros(16, np.uint8)
    nibbles[0], nibbles[15] = 0x31, 0xF0  # number 0 is 1, number 16 is 3; 15 is 0, 31 is 15
    block = Q41.from_bytes(np.concatenate([halves, nibbles]), n_row=1)
    numbers = block.dequantize()[0]
    assert numbers[[0, 1, 15, 16, 31]].tolist() == [-0.5, -1.0, -1.0, 0.5, 6.5]


def test_rows_of_queries_are_put_right_as_worked_by_hand():
    config = GPTConfig(7, 5, 1, 2, 12, n_kv_head=1, d_ff=3)  # heads of width 6
    stored = half_split_rows("blocks.0.attention.query.weight", config)
    assert stored.tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    assert half_split_rows("blocks.0.attention.key.bias", config).tolist() == [0, 2, 4, 1, 3, 5]
    assert half_split_rows("blocks.0.attention.value.weight", config) is None


def test_turning_neighbours_as_stored_is_turning_halves_once_the_rows_are_put_right():
    T, D = 5, 6
    config = GPTConfig(7, T, 1, 1, D, d_ff=3)
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, T, D)  # as the file's matrices would give them
    cos, sin = (x[:, : D // 2] for x in rope_rotation(T, D))

    def turn_neighbours(x):
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)

    rows = half_split_rows("a.attention.query.weight", config)
    as_stored = turn_neighbours(q) @ turn_neighbours(k).transpose(-1, -2)
    rotation = rope_rotation(T, D)
    ours = rotate(q[..., rows], rotation) @ rotate(k[..., rows], rotation).transpose(-1, -2)
    torch.testing.assert_close(ours, as_stored)


# whole files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{}, {"tie_embeddings": False, "bias": True}, {"rope_scaling": RopeScaling("linear", 2.0)}],
    ids=["tied", "untied, with biases", "scaled"],
)
def test_a_model_written_by_the_reference_package_comes_back(changes, tokenizer, tmp_path):
    model = build(CONFIG.replace(**changes))
    loaded, its_tokenizer = load_gguf(write_llama(tmp_path / "m.gguf", model, tokenizer))
    assert loaded.config == model.config
    state = model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    assert its_tokenizer.merges == tokenizer.merges
    assert its_tokenizer.end_of_text_id == tokenizer.end_of_text_id
    ids = torch.randint(CONFIG.vocab_size, (2, 17))
    assert torch.equal(loaded(ids), model(ids))


def test_transformers_reads_the_same_model_out_of_the_same_file(tokenizer, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    path = write_llama(tmp_path / "m.gguf", build(CONFIG), tokenizer, kind="Q8_0")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name)
    loaded, _ = load_gguf(path)
    ids = torch.randint(CONFIG.vocab_size, (2, 17))
    torch.testing.assert_close(loaded(ids), theirs.eval()(ids).logits, rtol=1e-4, atol=1e-4)


def test_blocks_of_four_bits_are_the_models_weights_row_by_row(tokenizer, tmp_path):
    path = write_llama(tmp_path / "m.gguf", build(CONFIG), tokenizer, kind="Q4_1")
    blocks, state = load_gguf_blocks(path), load_gguf(path)[0].state_dict()
    assert len(blocks) == 7 * CONFIG.n_layer + 1
    for name, block in blocks.items():
        assert torch.equal(block.dequantize(), state[name]), name
    with pytest.raises(ValueError, match="stored as F32"):
        _ = read_gguf(path).tensors["output_norm.weight"].blocks


def test_metadata_of_every_type_are_read(tmp_path):
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for kind, value in (("uint8", 200), ("int8", -3), ("uint16", 60_000), ("int16", -300)):
        getattr(writer, f"add_{kind}")(kind, value)
    writer.add_uint64("uint64", 2**63)
    writer.add_float64("float64", 1e-300)
    writer.add_bool("bool", True)
    writer.add_string("text", "é世")
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("texts", ["a", "bc"])
    writer.add_array("nested", [[1, 2], [3]])
    for write in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{write}_to_file")()
    writer.close()
    meta = read_gguf(path).metadata
    assert meta["uint8"] == 200
    assert meta["int16"] == -300
    assert meta["uint64"] == 2**63
    assert meta["float64"] == 1e-300
    assert meta["bool"] is True
    assert meta["text"] == "é世"
    assert (meta["numbers"], meta["texts"]) == ([1, 2, 3], ["a", "bc"])
    assert meta["nested"] == [[1, 2], [3]]


# refusals -------------------------------------------------------------------------------------


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def header(n_tensor=0, n_entry=0, rest=b"", version=3, magic=b"GGUF") -> bytes:
    return magic + struct.pack("<IQQ", version, n_tensor, n_entry) + rest


def tensor(name=b"a", shape=(32,), kind=0, offset=0) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dims + struct.pack("<IQ", kind, offset)


def deep(n: int) -> bytes:
    return text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * n


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable GGUF"),
        (header(magic=b"PK\3\4"), "does not begin with GGUF"),
        (header(version=1), "version 1; versions 2 and 3"),
        (header(n_tensor=2**63), "tensors, and 65,536 are the most"),
        (header(n_entry=70_000), "70,000 metadata entries"),
        (header(n_entry=1, rest=struct.pack("<Q", 2**62)), "ends in the middle"),
        (header(n_entry=1, rest=text(b"k") + struct.pack("<I", 77)), "unknown type 77"),
        (header(n_entry=1, rest=text(b"\xff")), "can't decode byte"),
        (header(n_entry=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2**40)), "array entries"),
        (header(n_entry=1, rest=deep(100)), "nested more than 3"),
        (header(n_entry=2, rest=2 * (text(b"k") + struct.pack("<IB", 0, 1))), "twice"),
        (
            header(n_entry=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 7)),
            "alignment is 7",
        ),
        (header(1, rest=tensor(shape=())), "0 dimensions"),
        (header(1, rest=tensor(shape=(1,) * 9)), "9 dimensions"),
        (header(1, rest=tensor(kind=99)), "number format 99"),
        (header(1, rest=tensor(shape=(33,), kind=8)), "cannot be stored as Q8_0"),
        (header(1, rest=tensor(shape=(2**40, 2**20))), "beyond the end"),
        (header(1, rest=tensor(shape=(0,))), "cannot be stored"),
        (header(1, rest=tensor(offset=3)) + bytes(400), "misaligned"),
        (header(1, rest=tensor(offset=2**60)) + bytes(400), "beyond the end"),
        (header(2, rest=tensor() + tensor(b"b")) + bytes(400), "over another"),
    ],
)
def test_a_file_that_lies_is_refused_in_a_sentence(content, message, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_gguf(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"llama.expert_count": 8}, "llama.expert_count, which GPT does not have"),
        ({"llama.rope.dimension_count": 8}, "RoPE turns 8 of 16"),
        ({"llama.rope.scaling.type": "yarn"}, "'yarn' is not supported"),
        ({"llama.context_length": 2**24}, "a context of 16,777,216 is over"),
        ({"llama.context_length": 2**22, "llama.attention.head_count": 2}, "heads of width 48"),
        ({"llama.block_count": 99}, "99 layers of width 96 do not fit"),
        ({"llama.embedding_length": 192}, "embedding of shape .269, 96."),
        ({"llama.attention.head_count_kv": 3}, "attn_k.weight has 32 rows and needs 48"),
        ({"llama.attention.head_count_kv": 1}, "attn_k.weight has 32 rows and needs 16"),
        ({"llama.attention.layer_norm_rms_epsilon": "x"}, "could not convert"),
        ({"general.architecture": "qwen2"}, "its architecture is 'qwen2'"),
        ({"tokenizer.ggml.model": "llama"}, "its tokenizer cannot be read"),
        ({"tokenizer.ggml.tokens": "abc"}, "its tokenizer cannot be read"),
    ],
)
def test_variants_that_the_model_does_not_have_are_refused(changes, message, tokenizer, tmp_path):
    path = write_llama(tmp_path / "m.gguf", build(CONFIG), tokenizer, changes=changes)
    with pytest.raises(ValueError, match=message):
        load_gguf(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            load_gguf(path)


def test_two_thousand_damaged_files_give_one_clear_error_or_a_model(tokenizer, tmp_path):
    small = build(CONFIG.replace(n_layer=1))
    whole = write_llama(tmp_path / "whole.gguf", small, tokenizer, kind="Q4_1").read_bytes()
    chance, path = random.Random(0), tmp_path / "damaged.gguf"
    n_refused, started = 0, time.process_time()
    for _ in range(2000):
        path.write_bytes(damaged(whole, chance))
        message = ""
        try:
            load_gguf(path)
        except ValueError as error:
            message = str(error)
        if message:
            n_refused += 1
            assert str(path) in message
    assert n_refused > 1000
    assert time.process_time() - started < 120


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """The file with a few bytes changed, most of them in its header, or cut, or lengthened."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) if chance.random() < 0.1 else 7_500)
        data[place : place + chance.randint(0, 9)] = chance.randbytes(chance.choice([1, 4, 8]))
    return bytes(data[: chance.randrange(len(data))] if chance.random() < 0.1 else data)
