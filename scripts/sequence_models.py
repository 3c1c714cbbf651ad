"""The recurrent networks that `train_sequences.py` trains for chapter 6."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CELLS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
LETTERS = 26  # symbols 2 to 27 of the copying task; 0 begins, 1 ends


class Reader(nn.Module):
    """An embedding, a recurrent layer, and a reading of its states as logits."""

    def __init__(self, cell: str, n_symbols: int, width: int, embedding: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(n_symbols, embedding)
        self.cell: nn.RNNBase = CELLS[cell](embedding, width, batch_first=True)
        self.read = nn.Linear(width, n_symbols)

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, V) and the last state."""
        out, state = self.cell(self.embed(ids), state)
        return self.read(out), state


class CopyPlain(nn.Module):
    """The last state of the encoder is all that the decoder gets (Sutskever et al. 2014)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS + 2, 32)
        self.encoder = nn.LSTM(32, width, batch_first=True)
        self.decoder = nn.LSTM(32, width, batch_first=True)
        self.read = nn.Linear(width, LETTERS + 2)

    def forward(self, source: Tensor, written: Tensor) -> Tensor:
        """Logits (B, T, V) of what comes after each symbol of ``written``."""
        _, state = self.encoder(self.embed(source))
        return self.read(self.decoder(self.embed(written), state)[0])


class CopyAttention(nn.Module):
    """The same, but before each symbol it looks at all states of the encoder.

    e_ij = v·tanh(W s_{i−1} + U h_j), a = softmax(e), c_i = Σ_j a_ij h_j, and s_i is computed from
    the symbol before, c_i and s_{i−1} (Bahdanau et al. 2015, appendix A.1.2, with one reader).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS + 2, 32)
        self.encoder = nn.LSTM(32, width, batch_first=True)
        self.decoder = nn.LSTMCell(32 + width, width)
        self.W = nn.Linear(width, width, bias=False)
        self.U = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, 1, bias=False)
        self.read = nn.Linear(2 * width, LETTERS + 2)

    def forward(self, source: Tensor, written: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Logits (B, T, V); the weights (B, S) of each step are appended to ``maps``."""
        h, (s, c) = self.encoder(self.embed(source))
        s, c, keys, steps = s[0], c[0], self.U(h), []
        for symbol in self.embed(written).unbind(1):
            scores = self.v(torch.tanh(self.W(s)[:, None] + keys))[..., 0]  # (B, S)
            weights = scores.softmax(dim=-1)
            if maps is not None:
                maps.append(weights)
            found = torch.einsum("bs,bsd->bd", weights, h)
            s, c = self.decoder(torch.cat([symbol, found], dim=-1), (s, c))
            steps.append(self.read(torch.cat([s, found], dim=-1)))
        return torch.stack(steps, dim=1)
