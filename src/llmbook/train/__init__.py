"""Training: the loop, its optimizers, its schedule and its checkpoints."""

from llmbook.objectives import next_token_loss
from llmbook.train.causal import train, validation_loss
from llmbook.train.checkpoint import load_checkpoint, save_checkpoint
from llmbook.train.config import TrainConfig, learning_rate_at
from llmbook.train.loop import fit, read_log
from llmbook.train.optimizers import Muon, make_optimizers, orthogonalise
from llmbook.train.parallel import gathered_state, process_group

__all__ = [
    "Muon",
    "TrainConfig",
    "fit",
    "gathered_state",
    "learning_rate_at",
    "load_checkpoint",
    "make_optimizers",
    "next_token_loss",
    "orthogonalise",
    "process_group",
    "read_log",
    "save_checkpoint",
    "train",
    "validation_loss",
]
