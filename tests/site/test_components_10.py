"""The tiling player and the roofline explorer played with in a browser, checked against Python."""

from __future__ import annotations

import numpy as np
import pytest
from tests.site import component_pages as demo
from tests.site.test_components import demo_url, play  # noqa: F401

from llmbook.web.roofline import CACHE, WEIGHTS, amount, estimate
from llmbook.web.tiling import moved, walk


def cells(page, table: str) -> dict[str, list[str]]:
    """The rows of a table by their names."""
    rows = page.locator(f"{table} tbody tr").all()
    return {r.locator("th").inner_text(): r.locator("td").all_inner_texts() for r in rows}


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−∞", "-inf").replace("−", "-")) for text in texts]


def moved_bytes(page) -> list[int]:
    texts = page.locator(".tp-bars .lb-bar-text").all_inner_texts()
    return [int(text.replace(",", "")) for text in texts]


# ---- tiles


def test_every_tile_shows_the_state_that_python_computes(play):  # noqa: F811
    page, steps = play("tiling_player"), walk(*demo.HEAD, (2, 3))
    for step in steps:
        page.get_by_role("button", name="Next tile").click()
        if "Outputs" in page.locator(".tp-says").inner_text():  # a block of queries is finished
            page.get_by_role("button", name="Next tile").click()
        shown = cells(page, ".tp-running")
        assert numbers(shown["m"]) == pytest.approx(step["m"], abs=6e-4)
        assert numbers(shown["factor"]) == pytest.approx(step["factor"], abs=6e-4)
        assert numbers(shown["l"]) == pytest.approx(step["l"], abs=6e-4)
        for d in range(3):
            assert numbers(shown[f"acc {d}"]) == pytest.approx(step["acc"][:, d], abs=6e-4)
        lit = numbers(page.locator(".tp-now").all_inner_texts())
        weights = np.exp(step["scores"] - step["m"][:, None])
        assert lit == pytest.approx(weights.ravel(), abs=6e-3)
        held = cells(page, ".tp-holds")
        assert set(held) == {f"q{i}" for i in step["rows"]} | {
            f"{name}{j}" for j in step["columns"] for name in "kv"
        }
        assert numbers(held[f"k{step['columns'][0]}"]) == pytest.approx(
            demo.HEAD[1][step["columns"][0]], abs=6e-3
        )


def test_at_the_end_outputs_are_attention_and_all_bytes_are_counted(play):  # noqa: F811
    page = play("tiling_player", width=390)
    assert moved_bytes(page)[0] == 4 * 2 * 3, "two queries are read at first"
    above, below = (page.locator(f".tp-{name}").bounding_box() for name in ("matrix", "running"))
    assert above["width"] > 300
    assert above["y"] + above["height"] < below["y"], "one below the other on a phone"
    page.get_by_role("button", name="To the end").click()
    q, k, v = demo.HEAD
    scores = q @ k.T / np.sqrt(3)
    weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    shown = np.array([numbers(row) for row in cells(page, ".tp-output").values()])
    np.testing.assert_allclose(shown[:, :3], weights @ v, atol=6e-4)
    assert (shown[:, 3] == 0).all(), "the distance from the softmax of the whole row"
    counts = moved(5, 7, 3, (2, 3))
    assert moved_bytes(page) == [4 * counts["tiled"], 4 * counts["tiled"], 4 * counts["naive"]]
    assert page.get_by_role("button", name="To the end").is_disabled()


def test_other_tiles_move_other_bytes_and_give_the_same_outputs(play):  # noqa: F811
    page = play("tiling_player")
    outputs = []
    for rows, columns in ((2, 3), (5, 1), (1, 7), (3, 4)):
        page.get_by_label("Queries per tile").select_option(index=rows - 1)
        page.get_by_label("Keys per tile").select_option(index=columns - 1)
        page.get_by_role("button", name="To the end").click()
        assert moved_bytes(page)[1] == 4 * moved(5, 7, 3, (rows, columns))["tiled"]
        outputs.append(cells(page, ".tp-output"))
    assert all(other == outputs[0] for other in outputs)


def test_arrow_keys_step_and_past_scores_are_gone(play):  # noqa: F811
    page = play("tiling_player")
    page.get_by_role("button", name="Step", exact=True).focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator(".tp-past").count() == 2 * 3, "the first tile's scores"
    assert "Keys and values 3–5 are read" in page.locator(".tp-says").inner_text()
    page.keyboard.press("ArrowLeft")
    assert "Row 0: l = 0.000 × 0.000" in page.locator(".tp-says").inner_text()
    assert page.locator(".tp-past").count() == 0


# ---- the roofline


def choose(page, model: int, machine: int, weights: str, cache: str, batch: int, context: int):
    page.get_by_label("Model").select_option(str(model))
    page.get_by_label("Machine").select_option(str(machine))
    page.get_by_label("Weights").select_option(str(list(WEIGHTS).index(weights)))
    page.get_by_label("KV cache").select_option(str(list(CACHE).index(cache)))
    page.get_by_label("Texts at once").fill(str(batch.bit_length() - 1))
    page.get_by_label("Tokens of context").fill(str(context.bit_length() - 1))


@pytest.mark.parametrize(
    "chosen",
    [
        (0, 0, "float32", "float32", 1, 1024),
        (0, 0, "int8", "float32", 4, 256),
        (1, 1, "bfloat16", "bfloat16", 64, 8192),
        (1, 1, "int4", "int8", 1, 1),
    ],
)
def test_the_explorer_shows_what_python_estimates(play, chosen):  # noqa: F811
    page = play("roofline_explorer")
    choose(page, *chosen)
    model, machine, weights, cache, batch, context = chosen
    found = estimate(
        demo.SHAPES[model], demo.MACHINES[machine], WEIGHTS[weights], CACHE[cache], batch, context
    )
    shown = {k: [x.replace("\u00a0", " ") for x in v] for k, v in cells(page, ".rf-table").items()}
    both = [found["prefill"], found["decode"]]
    assert shown["FLOP"] == [amount(p["flops"]) for p in both]
    assert shown["bytes"] == [amount(p["bytes"], "B") for p in both]
    assert shown["FLOP per byte"] == [amount(p["intensity"]) for p in both]
    assert shown["limit"] == [p["limit"] for p in both]
    assert shown["tokens per second at most"] == [amount(p["tokens_per_s"]) for p in both]
    assert shown["KV cache of all texts"][0].startswith(amount(found["kv_bytes"], "B"))
    says = page.locator(".rf-says").inner_text().replace("\u00a0", " ")
    assert amount(found["decode"]["tokens_per_s"]) in says


def test_points_lie_on_the_roof_where_their_intensity_is(play):  # noqa: F811
    page = play("roofline_explorer")
    roof = page.locator(".rf-roof").get_attribute("points")
    (left, low), (ridge, top), (right, _) = [map(float, p.split(",")) for p in roof.split()]
    dots = {}
    for key in ("decode", "prefill"):
        dot = page.locator(f"circle.rf-{key}")
        dots[key] = float(dot.get_attribute("cx")), float(dot.get_attribute("cy"))
    assert left < dots["decode"][0] < ridge < dots["prefill"][0] < right
    slope = (top - low) / (ridge - left)
    assert dots["decode"][1] == pytest.approx(low + slope * (dots["decode"][0] - left), abs=0.3)
    assert dots["prefill"][1] == pytest.approx(top, abs=0.1)


def test_a_reader_enters_the_own_machine_and_a_longer_context_is_refused(play):  # noqa: F811
    page = play("roofline_explorer", width=390)
    assert page.locator(".rf-note").first.inner_text() == "Measured."
    page.get_by_label("Bandwidth").fill("80")  # 10^(8 + 80/40): 10 GB/s
    page.get_by_label("Peak").fill("120")  # 10^(8 + 120/40): 100 GFLOP/s
    assert page.locator(".rf-note").first.inner_text() == "Set by you."
    own = {"gb_per_s": 10, "gflops": 100}
    found = estimate(demo.SHAPES[0], own, 4, 4, 1, 1024)["decode"]
    assert cells(page, ".rf-table")["tokens per second at most"][1] == amount(found["tokens_per_s"])
    page.get_by_label("Model").select_option("1")
    assert page.get_by_label("Tokens of context").get_attribute("max") == "13"
    page.get_by_label("Tokens of context").fill("13")
    page.get_by_label("Model").select_option("0")
    assert page.get_by_label("Tokens of context").input_value() == "10"


def test_a_model_that_does_not_fit_is_said_not_to(play):  # noqa: F811
    page = play("roofline_explorer")
    choose(page, 1, 1, "bfloat16", "bfloat16", 1, 1024)
    assert "more than the 80.0" in page.locator(".rf-large").inner_text().replace("\u00a0", " ")
    choose(page, 1, 1, "int4", "int8", 1, 1024)
    assert page.locator(".rf-large").count() == 0


# ---- the chapter


def test_the_chapters_tiles_and_roofline_can_be_played_on_a_phone(open_page):
    page = open_page("notebooks/10_fast_attention.html", width=390)
    for name in ("tiling_player", "roofline_explorer"):
        page.wait_for_selector(f"[data-component={name}][data-llmbook-ready=true]")
    tiles = page.locator("[data-component=tiling_player]")
    tiles.get_by_role("button", name="To the end").click()
    shown = cells(page, ".tp-output").values()
    assert all(float(row[-1]) == 0 for row in shown), "every row is the softmax of the whole row"
    roof = page.locator("[data-component=roofline_explorer]")
    for which in range(roof.get_by_label("Machine").locator("option").count()):
        roof.get_by_label("Machine").select_option(index=which)
        box = roof.locator(".rf-plot svg").bounding_box()
        assert 0 <= box["x"] <= 391 - box["width"]
        assert "tokens per second" in roof.locator(".rf-says").inner_text()
    assert page.leaks == []
