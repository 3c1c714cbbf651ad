"""What training makes small: losses on logits, and the same losses as steps of `llmbook.train`."""

from llmbook.objectives.likelihood import (
    classification_loss,
    next_token_loss,
    sequence_loss,
)
from llmbook.objectives.preferences import (
    answer_log_prob,
    clipped_policy_loss,
    dpo_loss,
    group_advantage,
    kl_estimate,
    policy_gradient_loss,
)
from llmbook.objectives.steps import (
    LossFunction,
    causal_lm,
    classification,
    count_targets,
    dpo,
    masked_lm,
    packed_lm,
    sequence_to_sequence,
)

__all__ = [
    "LossFunction",
    "answer_log_prob",
    "causal_lm",
    "classification",
    "classification_loss",
    "clipped_policy_loss",
    "count_targets",
    "dpo",
    "dpo_loss",
    "group_advantage",
    "kl_estimate",
    "masked_lm",
    "next_token_loss",
    "packed_lm",
    "policy_gradient_loss",
    "sequence_loss",
    "sequence_to_sequence",
]
