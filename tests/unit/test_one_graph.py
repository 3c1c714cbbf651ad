"""torch.compile sees each model as one graph: nothing in it depends on the data it is given."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, without the run-time check of shapes, which no compiler sees through.
SCRIPT = """
import torch
from llmbook.config import BERTConfig, GPTConfig, Seq2SeqConfig
from llmbook.models import BERT, GPT, Seq2Seq

def check(model, *inputs, **named):
    model.eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    ours, theirs = compiled(*inputs, **named), model(*inputs, **named)
    ours, theirs = (x if isinstance(x, torch.Tensor) else x.logits for x in (ours, theirs))
    torch.testing.assert_close(ours, theirs)
    assert ours.isfinite().all()
    ours.square().mean().backward()
    torch._dynamo.reset()

torch.manual_seed(0)
ids, source = torch.randint(31, (3, 7)), torch.randint(31, (3, 5))
lengths = torch.tensor([5, 2, 0])[:, None]  # the last row has nothing to look at
source_padding = torch.arange(5) < lengths
causal = torch.ones(7, 7, dtype=torch.bool).tril() & (torch.arange(7) < lengths)[:, None, None]
sizes = dict(vocab_size=31, context_length=11, n_layer=1, n_head=2, d_model=12)
for choices in (dict(), dict(position="alibi"), dict(n_kv_head=1, window=3)):
    check(GPT(GPTConfig(**sizes, **choices)), ids)
    check(GPT(GPTConfig(**sizes, **choices)), ids, mask=causal)
check(GPT(GPTConfig(**sizes, n_expert=3)), ids)
check(BERT(BERTConfig(**sizes)), ids)
check(BERT(BERTConfig(**sizes)), ids, types=ids % 2, mask=torch.arange(7) < lengths)
check(Seq2Seq(Seq2SeqConfig(**sizes)), source, ids)
check(Seq2Seq(Seq2SeqConfig(**sizes)), source, ids, source_mask=source_padding)
print("one graph each")
"""


def test_each_model_is_one_graph_with_masks_and_without():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == "one graph each\n", done.stderr[-2000:]
