"""The model explorer opened in a browser, its numbers checked against Python's."""

from __future__ import annotations

from tests.site import component_pages as demo
from tests.site.test_components import demo_url, number, play  # noqa: F401

from llmbook.web.modelmap import MASKED, tensor_values


def tensor(stage: int, place: int) -> dict:
    """A tensor of the demonstration, as the page's data hold it."""
    return demo.components()["model_explorer"].data["stages"][stage]["tensors"][place]


def shown(page) -> list[list[str]]:
    rows = page.locator(".me-table tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in rows]


def expected(values) -> list[list[str]]:
    def show(v: int) -> str:
        return "−∞" if v == MASKED else f"{v / 100:.2f}".replace("-", "−")

    return [[show(int(v)) for v in row] for row in values]


def test_a_stage_opens_and_a_tensor_shows_its_numbers(play):  # noqa: F811
    page = play("model_explorer")
    assert page.locator(".me-stage[aria-expanded=true]").inner_text().startswith("Block 0")
    assert page.locator(".me-tensor").count() == 3
    page.locator(".me-tensor").nth(1).click()
    assert page.locator(".me-axes").inner_text() == (
        "H = 2 (heads) · T = 4 (tokens) · S = 4 (tokens looked at)"
    )
    scores = tensor_values(tensor(1, 1))
    assert shown(page) == expected(scores[0])
    assert shown(page)[0][1] == "−∞", "the future is masked"
    page.get_by_role("button", name="1", exact=True).click()
    assert shown(page) == expected(scores[1])
    assert page.locator(".me-title[role=status]").inner_text() == "Block 0: scores"


def test_arrow_keys_walk_through_stages_and_tensors(play):  # noqa: F811
    page = play("model_explorer", width=390)
    page.locator(".me-stage[aria-expanded=true]").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".me-stage[aria-expanded=true]").inner_text().startswith("Output")
    best = page.locator(".me-best").first.inner_text()
    assert "cat" in best
    assert number(best) == 60
    page.keyboard.press("Home")
    assert [row[0] for row in shown(page)] == ["5", "17", "300", "4095"]
    page.locator(".me-tensor").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".me-title[role=status]").inner_text() == "Input: embeddings"
    assert "first 8 of 12" in page.locator(".me-note").inner_text()
    assert shown(page) == expected(tensor_values(tensor(0, 1))[0])


def test_large_numbers_lose_a_digit_and_not_their_size(play):  # noqa: F811
    page = play("model_explorer")
    page.locator(".me-tensor").nth(2).click()
    values = tensor_values(tensor(1, 2))[0]
    assert abs(values).max() >= 1000
    got = [[float(text.replace("−", "-")) for text in row] for row in shown(page)]
    assert abs(values / 100 - got).max() < 0.051
