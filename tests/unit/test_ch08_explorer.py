"""The model explorer's builder, and the record that chapter 8 replays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llmbook.web import model_explorer
from llmbook.web.modelmap import MASKED, tensor_values

ROOT = Path(__file__).parents[2]
KINDS = {"learned", "sinusoidal", "rope", "rope, interpolated", "alibi", "none"}


def explore(**tensor) -> dict:
    """The one tensor of an explorer that has only it."""
    given = {"name": "x", "axes": "T C", "how": "Made.", "values": np.zeros((3, 5))} | tensor
    made = model_explorer(["a", " b", "c"], [{"title": "One", "tensors": [given]}])
    assert "<table>" in made.static
    return made.data["stages"][0]["tensors"][0]


def test_numbers_are_hundredths_and_a_masked_score_is_marked():
    values = np.array([[0.123, -1.5], [-np.inf, 2.0], [0.0, 300.0]])
    tensor = explore(values=values)
    assert tensor_values(tensor).tolist() == [[[12, -150], [MASKED, 200], [0, 30_000]]]
    assert tensor["shape"] == [3, 2]


def test_of_a_long_axis_the_first_eight_are_kept_with_all_heads():
    values = np.arange(2 * 3 * 11).reshape(2, 3, 11)
    tensor = explore(values=values, axes="H T D")
    assert tensor["shape"] == [2, 3, 11]
    assert (tensor_values(tensor) == 100 * values[..., :8]).all()


def test_ids_stay_whole_numbers():
    tensor = explore(values=[3, 0, 4095], axes="T")
    assert tensor["whole"] == 1
    assert tensor_values(tensor).ravel().tolist() == [3, 0, 4095]


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"values": np.zeros((4, 5))}, "has shape"),
        ({"axes": "T X"}, "choose among"),
        ({"values": np.full((3, 5), np.nan)}, "no number"),
        ({"values": np.full((3, 5), 400.0)}, "at most 327"),
        ({"top": [[("a", 0.5)]], "shape": (3, 9)}, "1 rows for 3 tokens"),
    ],
)
def test_what_cannot_be_shown_is_refused(tensor, words):
    with pytest.raises(ValueError, match=words):
        explore(**tensor)


def test_a_stage_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="stage is 1"):
        model_explorer(["a"], [{"title": "One", "tensors": []}], stage=1)


def test_the_recorded_race_has_every_kind_at_every_length_for_each_seed():
    record = json.loads((ROOT / "results/positions.json").read_text(encoding="utf-8"))
    assert record["lengths"][0] == record["trained_length"] == 64
    seeds = {kind: [run["seed"] for run in record["runs"] if run["kind"] == kind] for kind in KINDS}
    assert {run["kind"] for run in record["runs"]} == KINDS
    assert all(found == [0, 1, 2] for found in seeds.values())
    assert all(len(run["loss"]) == len(record["lengths"]) for run in record["runs"])


def test_stretching_the_angles_changes_nothing_at_the_trained_length():
    record = json.loads((ROOT / "results/positions.json").read_text(encoding="utf-8"))
    first = {(run["kind"], run["seed"]): run["loss"][0] for run in record["runs"]}
    for seed in range(3):
        assert first["rope", seed] == first["rope, interpolated", seed]
