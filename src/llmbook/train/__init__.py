"""Training: the loop, its optimizers, its schedule and its checkpoints."""

from llmbook.train.checkpoint import load_checkpoint, save_checkpoint
from llmbook.train.config import TrainConfig, learning_rate_at
from llmbook.train.loop import next_token_loss, read_log, train, validation_loss
from llmbook.train.optimizers import Muon, make_optimizers, orthogonalise

__all__ = [
    "Muon",
    "TrainConfig",
    "learning_rate_at",
    "load_checkpoint",
    "make_optimizers",
    "next_token_loss",
    "orthogonalise",
    "read_log",
    "save_checkpoint",
    "train",
    "validation_loss",
]
