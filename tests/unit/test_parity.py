"""The same numbers as the reference libraries, on the same weights: forward and backward."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")
from measure_parity import LIMIT, MEASUREMENTS

# A minute of another library's reading; `scripts/measure_parity.py` records it.
SLOW = {"smollm2"}


@pytest.mark.parametrize("name", [name for name in MEASUREMENTS if name not in SLOW])
def test_logits_states_and_gradients_are_those_of_the_reference(name):
    try:
        row = MEASUREMENTS[name]()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert row.logits is None or row.logits <= LIMIT
    assert row.hidden <= LIMIT
    assert row.gradient <= LIMIT * row.gradient_scale
    assert row.scale > 0.1  # not two models that are both silent
    assert row.gradient_scale > 0.01


def test_what_is_recorded_covers_every_model_and_keeps_the_limit(root):
    import json

    recorded = json.loads((root / "results" / "parity.json").read_text(encoding="utf-8"))
    assert len(recorded["models"]) == len(MEASUREMENTS)
    for row in recorded["models"]:
        assert row["logits"] is None or row["logits"] <= LIMIT
        assert row["gradient"] <= LIMIT
        assert row["hidden"] <= LIMIT or row["hidden_relative"] <= 1e-5
