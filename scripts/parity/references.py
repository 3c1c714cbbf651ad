"""The encoder–decoder beside PyTorch's ``nn.Transformer``, and the experts beside Mixtral's."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from llmbook.config import GPTConfig, Seq2SeqConfig
from llmbook.models import Seq2Seq, Trace
from llmbook.nn import MixtureOfExperts
from parity.compare import Parity, compare, random_ids, randomise


def torch_seq2seq_parity(config: Seq2SeqConfig, norm_first: bool) -> Parity:
    """The encoder–decoder beside PyTorch's own ``nn.Transformer``, between the embeddings."""
    config = config.replace(mlp="relu", norm_first=norm_first)
    model = randomise(Seq2Seq(config))
    with warnings.catch_warnings():  # it regrets that a short cut is not to be had
        warnings.simplefilter("ignore", UserWarning)
        theirs = nn.Transformer(
            config.d_model,
            config.n_head,
            config.n_layer,
            config.decoder_layers,
            config.ff_width,
            dropout=0.0,
            batch_first=True,
            norm_first=norm_first,
        )
    if not norm_first:  # it always normalises after each stack; we only where nothing else does
        theirs.encoder.norm, theirs.decoder.norm = None, None
    theirs.load_state_dict(_torch_state(model.state_dict(), config))
    source, target = (
        random_ids(config.vocab_size, 3, 53),
        random_ids(config.vocab_size, 3, 61, seed=1),
    )
    mask = torch.arange(53) < torch.tensor([53, 29, 1])[:, None]
    trace = Trace()
    memory = model.encode(source, mask)
    logits = model.decode(target, memory, mask, trace=trace)
    reference = theirs(
        model._place(model.token_embedding(source) * model.scale, slice(0, 53))[0],
        model._place(model.token_embedding(target) * model.scale, slice(0, 61))[0],
        tgt_mask=~torch.ones(61, 61, dtype=torch.bool).tril(),
        src_key_padding_mask=~mask,
        memory_key_padding_mask=~mask,
    )
    names = {f"theirs.{k}": p for k, p in theirs.named_parameters()}
    pairs = [(model.decoder_norm(trace.residual[-1]), reference)]
    labels = random_ids(config.vocab_size, 3, 61, seed=2)

    def joined(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"theirs.{k}": v for k, v in _torch_state(gradients, config).items()}

    title = f"Seq2Seq beside nn.Transformer, norm {'first' if norm_first else 'after'}"
    both = (logits, model.output(reference))
    return compare(title, (model, names), both, pairs, labels, joined)


def mixtral_parity() -> Parity:
    """The layer of experts beside Mixtral's."""
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    config = GPTConfig(499, 67, 1, 6, 96, d_ff=131, n_expert=7, n_expert_active=3)
    ours = randomise(MixtureOfExperts(config))
    sizes = {"hidden_size": 96, "intermediate_size": 131}
    experts = {"num_local_experts": 7, "num_experts_per_tok": 3, "experts_implementation": "eager"}
    theirs = MixtralSparseMoeBlock(MixtralConfig.from_dict(sizes | experts))
    theirs.load_state_dict(_mixtral_state(ours.state_dict(), 7))
    x = torch.randn(3, 61, 96, generator=torch.Generator().manual_seed(0))
    out, reference = ours(x), theirs(x)
    reference = reference[0] if isinstance(reference, tuple) else reference
    return compare(
        "Mixtral's experts",
        (ours, theirs),
        (None, None),
        [(out, reference)],
        None,
        lambda gradients: _mixtral_state(gradients, 7),
    )


def _torch_state(state: dict[str, Tensor], config: Seq2SeqConfig) -> dict[str, Tensor]:
    """Our blocks under the names of ``nn.Transformer``, which keeps q, k and v in one matrix."""
    theirs = {}
    attentions = {"attention": "self_attn", "cross_attention": "multihead_attn"}
    norms = {
        "encoder": {"attention_norm": "norm1", "mlp_norm": "norm2"},
        "decoder": {"attention_norm": "norm1", "cross_norm": "norm2", "mlp_norm": "norm3"},
    }
    layers = {"encoder": config.n_layer, "decoder": config.decoder_layers}
    for stack in ("encoder", "decoder"):
        for i in range(layers[stack]):
            ours, other = f"{stack}.{i}", f"{stack}.layers.{i}"
            for kind in ("weight", "bias"):
                for a, b in attentions.items():
                    if f"{ours}.{a}.query.{kind}" in state:
                        parts = [state[f"{ours}.{a}.{n}.{kind}"] for n in ("query", "key", "value")]
                        theirs[f"{other}.{b}.in_proj_{kind}"] = torch.cat(parts)
                        theirs[f"{other}.{b}.out_proj.{kind}"] = state[f"{ours}.{a}.out.{kind}"]
                theirs[f"{other}.linear1.{kind}"] = state[f"{ours}.mlp.up.{kind}"]
                theirs[f"{other}.linear2.{kind}"] = state[f"{ours}.mlp.down.{kind}"]
                for a, b in norms[stack].items():
                    theirs[f"{other}.{b}.{kind}"] = state[f"{ours}.{a}.{kind}"]
        if config.norm_first:
            for kind in ("weight", "bias"):
                theirs[f"{stack}.norm.{kind}"] = state[f"{stack}_norm.{kind}"]
    return theirs


def _mixtral_state(state: dict[str, Tensor], n_expert: int) -> dict[str, Tensor]:
    """Our experts in Mixtral's two stacked tensors."""
    parts = {
        n: torch.stack([state[f"experts.{i}.{n}.weight"] for i in range(n_expert)])
        for n in ("gate", "up", "down")
    }
    return {
        "gate.weight": state["router.weight"],
        "experts.gate_up_proj": torch.cat([parts["gate"], parts["up"]], dim=1),
        "experts.down_proj": parts["down"],
    }
