"""The builders of the interactive components: integers that repeat, refusals, static pictures."""

import base64
import json
import re
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from llmbook import web
from llmbook.web import assets, svg
from llmbook.web.component import Component, check_json
from llmbook.web.descent import descend
from llmbook.web.labels import LABELS
from llmbook.web.museum import thin
from llmbook.web.quantise import pack, parts_of, quantise_attention, visible
from llmbook.web.softmax import soft_lookup
from llmbook.web.temperature import probabilities

L, H, T = 2, 3, 5
TOKENS = ["The", " cat", " sat", "\n", " <i>"]


def causal_weights(*shape):
    scores = np.random.default_rng(0).normal(size=(*shape, T, T)) * 2
    scores = np.where(np.tril(np.ones((T, T))) > 0, scores, -np.inf)
    powers = np.exp(scores)
    return powers / powers.sum(-1, keepdims=True)


def context(k=7, v=101):
    logits = np.random.default_rng(1).normal(size=v) * 3
    return logits, web.next_token_context("Once", logits, [f" t{i}" for i in range(v)], k=k)


STEP = {"tokens": [" a", " b"], "probs": [0.5, 0.25], "chosen": " b", "prob": 0.25}
QUESTION = {"text": "Is `x < 1`?", "choices": ["yes", "*no*"], "answer": 1, "why": ["No.", "Yes."]}


IDS = {"name": "ids", "axes": "T", "how": "Given.", "values": [3]}
RULES = {
    ("S", "NP", "VP"): Fraction(1),
    ("VP", "V", "NP"): Fraction(1),
    ("V", "sees"): Fraction(1),
    ("NP", "she"): Fraction(1, 2),
    ("NP", "birds"): Fraction(1, 2),
}


def record(step, **changes):
    good = {
        "step": step,
        "tokens_seen": step * 64,
        "train_loss": 5.0 / (1 + step),
        "val_loss": None,
        "samples": [f"sample {step}"],
        "attention": causal_weights(1)[0],
        "embedding": np.random.default_rng(step).normal(size=(3, 2)),
    }
    return good | changes


def passage(**changes):
    """Ten symbols to guess: player a names the alphabet in order, player b is always right."""
    alphabet = "abcdefghijklmnopqrstuvwxyz "
    wanted = "it was so "
    good = {
        "title": "A text",
        "given": "He said that",
        "hidden": "It was: so ",
        "guesses": {
            "a": [alphabet] * len(wanted),
            "b": [c + alphabet.replace(c, "") for c in wanted],
        },
        "bits": {"a": [4.75] * len(wanted), "b": [0.5] * len(wanted)},
    }
    return good | changes


def machine(records, **changes):
    options = {"prompts": ["Once"], "sentence": TOKENS, "words": [" a", " b", " c"]}
    return web.time_machine(records, **options | changes)


SECTION = {"title": "Masks & weights", "target": "masks", "minutes": 5}
BOWL = {"hessian": [[5.0, 2.0], [2.0, 3.0]], "minimum": [1.0, -0.5], "least": 0.25}


def broken_run(**changes):
    steps = np.arange(1, 61)
    run = {
        "loss": 4.4 / steps,
        "grad_norm": 1.0 / steps,
        "val_loss": [[0, 4.4], [60, 0.5]],
        "sample": "She <was>",
        "choices": ["No mask", "Dead rate"],
        "answer": 0,
        "why": ["It sees the answer.", "Nothing moves."],
        "sign": "Too good.",
        "test": "Change a later token.",
    }
    return run | changes


SHAPE = {
    "name": "small",
    "n_params": 1_000_000,
    "n_layer": 2,
    "d_model": 128,
    "n_kv_head": 2,
    "d_head": 64,
    "context_length": 256,
}
LAPTOP = {"name": "here", "gb_per_s": 15.61, "gflops": 33, "source": "Measured."}


def every_component():
    return [
        web.attention_explorer(TOKENS, causal_weights(L, H), caption="A <caption>."),
        web.softmax_dictionary([[1, 0], [0, 1], [-1, 0.5]], [1.0, 2.5, -3.0], unit="°C"),
        web.temperature_explorer([context()[1]]),
        web.step_generator("Once", [STEP, STEP]),
        machine([record(0), record(10), record(100)]),
        web.quiz([QUESTION]),
        web.self_check([QUESTION | {"section": SECTION}], everybody=SECTION),
        web.descent_explorer({"bowl": BOWL}, start=(2, 1), rate=0.1),
        web.graph_player([("x·x", [("x", 2.0)], [("L", "mul", "x", "x")])]),
        web.error_museum([broken_run(), broken_run(answer=1)], broken_run(), caption="Two."),
        web.shannon_game([passage()], players={"a": "10-gram", "b": "network"}),
        web.chart_player({"toy": RULES}, [("toy", "she sees birds")]),
        web.model_explorer(["a"], [{"title": "Ids", "tensors": [IDS]}]),
        web.word_map([f"w{i}" for i in range(9)], {"A": np.eye(9), "B": np.eye(9)[::-1]}),
        web.tiling_player(np.eye(3), np.eye(3), -np.eye(3), causal=True),
        web.roofline_explorer([SHAPE], [LAPTOP]),
        web.tokenizer_playground("the cat", {"Unigram": {"the": -1.0, " ": -2.5}}),
    ]


@pytest.fixture(params=every_component(), ids=lambda component: component.name)
def component(request):
    return request.param


def json_of(component: Component):
    found = re.search(r'<script type="application/json">(.*?)</script>', component.to_html())
    return json.loads(found[1])


# ---- what every component's output promises


def test_the_data_of_an_output_are_the_data_given_and_hold_no_float(component):
    data = json_of(component)
    check_json(data)
    assert data == component.data


def test_an_output_repeats_letter_by_letter(component):
    again = {other.name: other for other in every_component()}[component.name]
    assert component._repr_html_() == again._repr_html_()
    assert repr(component) == repr(again)
    assert "0x" not in repr(component)


def test_the_fallback_stands_alone_without_scripts_or_inline_drawings(component):
    static = re.search(r'class="llmbook-static">(.*?)</div>', component.to_html(), re.DOTALL)[1]
    assert re.search(r"<(img|table|details)", static)
    assert not re.search(r"<(script|svg|style)|https?://", static)
    for picture in re.findall(r"<img[^>]*>", static):
        assert len(re.search(r'alt="([^"]+)"', picture)[1]) > 30


def test_an_output_asks_no_other_server(component):
    html = component.to_html().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|url\(|@import|src=\"(?!data:)", html)


def test_the_site_gets_the_output_without_its_inlined_script(component):
    assert assets.strip_inline(component.to_html()).strip() == component.to_html(inline=False)
    assert "data-llmbook-inline" not in assets.strip_inline(component.to_html())


def test_markup_in_tokens_stays_text():
    html = web.attention_explorer(TOKENS, causal_weights(L, H)).to_html(inline=False)
    assert "<i>" not in html
    assert "␣<i>" in json_of(web.attention_explorer(TOKENS, causal_weights(L, H)))["tokens"]
    closing = web.quiz([QUESTION | {"text": "</script><b>"}]).to_html(inline=False)
    assert closing.count("</script>") == 1
    assert "<b>" not in closing


def test_floats_in_the_data_are_refused_with_their_place():
    with pytest.raises(TypeError, match=r"data\.a\[1\] is 0\.5"):
        check_json({"a": [1, 0.5]})


# ---- scripts, styles, labels


def test_pages_load_the_runtime_first_and_each_script_once():
    html = "".join(c.to_html() for c in every_component() * 2)
    names = assets.component_names(html)
    assert sorted(names) == list(assets.names())
    assert assets.page_scripts(["quiz"]) == ["core.js", "quiz.js"]
    assert assets.page_scripts([]) == []
    with pytest.raises(ValueError, match="no such component: 'nothing'"):
        assets.page_scripts(["nothing"])


def test_static_files_are_written_for_the_site(tmp_path):
    written = assets.write_static(tmp_path / "llmbook")
    assert {path.name for path in written} == {
        "core.js",
        "llmbook.css",
        *(f"{name}.js" for name in assets.names()),
    }
    assert sum(path.stat().st_size for path in written) < 10_700 * len(assets.names())


def test_an_inlined_script_stays_small_and_cannot_end_its_element():
    for name in assets.names():
        script = assets.inline_script(name)
        assert "</script" not in script
        assert len(script.encode()) < 32_000
        assert f'"{assets.version()}"' in script


def test_scripts_use_exactly_the_labels_that_can_be_translated():
    for name in assets.names():
        code = assets.component_script(name, {name: {}})
        strings = set(re.findall(r'"([a-z_]+)"', code))
        assert set(LABELS[name]) <= strings, f"{name}: a label that the script never shows"
        asked = set(re.findall(r'\bt\("([a-z_]+)"', code))
        assert asked <= set(LABELS[name]), f"{name}: the script shows words that are no label"


def test_a_translated_site_writes_its_own_words(tmp_path):
    chinese = LABELS | {"quiz": LABELS["quiz"] | {"right": "对。"}}
    assets.write_static(tmp_path, chinese)
    assert '"right":"对。"' in (tmp_path / "quiz.js").read_text(encoding="utf-8")
    own = Component("quiz", {}, "", "", labels={"right": "对。"}).to_html(inline=False)
    assert 'data-labels="{&quot;right&quot;:&quot;对。&quot;}"' in own


def test_script_and_static_pictures_share_one_colour_map():
    light = re.search(r"const LIGHT = (.*?);", assets.core_script(), re.DOTALL)[1]
    stops = re.findall(r'\[([\d.]+), "(#\w+)"\]', light)
    assert [(float(place), colour) for place, colour in stops] == svg.SEQUENTIAL
    assert [svg.sequential(place) for place, _ in svg.SEQUENTIAL] == [c for _, c in svg.SEQUENTIAL]


# ---- attention


def test_quantised_rows_sum_to_255_and_stay_near_the_weights():
    weights = causal_weights(L, H)
    integers = quantise_attention(weights)
    assert (integers.astype(int).sum(-1) == 255).all()
    assert np.abs(integers / 255 - weights).max() < 1 / 255
    assert not np.triu(integers, 1).any()


def test_shares_by_largest_remainder_worked_by_hand():
    # 0.5, 0.3, 0.2 of 8 are 4, 2.4, 1.6: the missing one goes to the largest remainder.
    assert parts_of(np.array([0.5, 0.3, 0.2]), 8).tolist() == [4, 2, 2]


def test_equal_weights_round_alike_whatever_the_noise():
    exact = np.full((1, 1, T, T), 1 / T)
    exact[..., 0, :3] = [0.5, 0.25, 0.25]
    exact[..., 0, 3:] = 0
    noise = 1 + np.random.default_rng(2).normal(size=exact.shape) * 1e-14
    assert (quantise_attention(exact) == quantise_attention(exact * noise)).all()


def test_a_causal_map_is_packed_as_its_lower_triangle():
    integers = quantise_attention(causal_weights(L, H))
    packed = np.frombuffer(base64.b64decode(pack(integers, True)), dtype=np.uint8)
    rows, columns = np.tril_indices(T)
    assert (packed.reshape(L, H, -1) == integers[:, :, rows, columns]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_are_taken_as_they_come_from_a_model(dtype):
    weights = torch.tensor(causal_weights(L, H), dtype=dtype, requires_grad=True)
    assert web.attention_explorer(TOKENS, weights).data["layers"] == L
    assert web.attention_explorer(TOKENS, weights[0]).data["layers"] == 1


def test_a_query_that_looks_nowhere_is_shown_as_such():
    weights = causal_weights(L, H)
    weights[:, :, 3] = 0
    assert not quantise_attention(weights)[:, :, 3].any()


@pytest.mark.parametrize(
    ("tokens", "weights", "options", "message"),
    [
        (TOKENS[:4], causal_weights(L, H), {}, "tokens has 4 entries, but 5 are needed"),
        (TOKENS, causal_weights(L, H)[..., :4], {}, r"shape \(L, H, T, T\), not \(2, 3, 5, 4\)"),
        (TOKENS, causal_weights(L, H) * 2, {}, "a row of weights sums to 2.0000"),
        (TOKENS, causal_weights(L, H) * np.nan, {}, "weights holds a value that is not finite"),
        (TOKENS, causal_weights(L, H), {"head": 3}, r"head is 3, but must lie in 0\.\.2"),
        (TOKENS, causal_weights(L, H), {"query": 5}, r"query is 5, but must lie in 0\.\.4"),
    ],
)
def test_the_explorer_refuses_with_one_clear_sentence(tokens, weights, options, message):
    with pytest.raises(ValueError, match=message):
        web.attention_explorer(tokens, weights, **options)


def test_white_space_in_tokens_can_be_seen():
    assert visible(" the\n\t") == "␣the⏎⇥"
    assert visible("") == "∅"
    assert visible("\x00") == "�"


# ---- the soft dictionary


def test_a_soft_look_up_worked_by_hand():
    keys, values = np.eye(2), np.array([10.0, 30.0])
    scores, weights, mixed = soft_lookup(keys, values, np.array([1.0, 0.0]), float(np.log(3)))
    assert scores.tolist() == [1, 0]
    np.testing.assert_allclose(weights, [0.75, 0.25])
    assert mixed == pytest.approx(15)


@pytest.mark.parametrize(
    ("keys", "values", "options", "message"),
    [
        ([[1, 0, 0], [0, 1, 0]], [1, 2], {}, r"shape \(n, 2\) with n from 2 to 12, not \(2, 3\)"),
        ([[1, 0], [0, 1]], [1, 2, 3], {}, r"values must have shape \(2,\), not \(3,\)"),
        ([[1, 0], [0, 1]], [1, 2], {"names": ["a"]}, "names has 1 entries"),
        ([[1, 0], [0, 1]], [1, 2], {"sharpness": 99}, r"sharpness is 99, but must lie in 0\.\."),
    ],
)
def test_the_dictionary_refuses_what_it_cannot_draw(keys, values, options, message):
    with pytest.raises(ValueError, match=message):
        web.softmax_dictionary(keys, values, **options)


# ---- temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.9])
def test_binned_tokens_keep_their_probability_at_every_temperature(temperature):
    logits, packed = context()
    exact = np.exp(logits / temperature - logits.max() / temperature)
    exact = np.sort(exact / exact.sum())[::-1]
    data = web.temperature_explorer([packed]).data["contexts"][0]
    shown = probabilities(data, temperature)
    np.testing.assert_allclose(shown[:-1], exact[:7], rtol=5e-3)
    assert shown[-1] == pytest.approx(exact[7:].sum(), rel=1e-2)
    assert sum(data["rest_counts"]) == len(logits) - 7


def test_token_names_may_come_from_a_function():
    by_list, by_call = (
        context()[1],
        web.next_token_context("Once", context()[0], lambda i: f" t{i}", k=7),
    )
    assert by_list["tokens"] == by_call["tokens"]


def test_the_temperature_explorer_refuses_nothing_to_show():
    with pytest.raises(ValueError, match="at least one context"):
        web.temperature_explorer([])
    with pytest.raises(ValueError, match=r"must lie in 0\.\.2"):
        web.temperature_explorer([context()[1]], temperature=3)
    with pytest.raises(ValueError, match=r"shape \(V,\)"):
        web.next_token_context("Once", np.zeros((2, 3)), str)


# ---- steps, checkpoints, questions


def test_a_generation_keeps_the_text_that_each_token_adds():
    for spelling in (" b", "␣b"):
        step = web.step_generator("Once", [STEP | {"chosen": spelling}]).data["steps"][0]
        assert (step["text"], step["chosen"], step["prob"]) == (" b", "␣b", 2500)


def test_a_generation_refuses_probabilities_that_are_none():
    with pytest.raises(ValueError, match="step 0 do not lie in"):
        web.step_generator("Once", [STEP | {"probs": [0.9, 0.9]}])
    with pytest.raises(ValueError, match="at least one step"):
        web.step_generator("Once", [])


def test_the_map_of_words_spans_all_checkpoints():
    points = np.array([[r["points"]] for r in machine([record(0), record(9)]).data["records"]])
    points = points.reshape(-1, 2)
    assert points.min(0).tolist() == [0, 0]
    assert points.max(0).tolist() == [1000, 1000]


@pytest.mark.parametrize(
    ("records", "options", "message"),
    [
        ([record(0)], {}, "at least two checkpoints, not 1"),
        ([record(5), record(5)], {}, r"must rise from record to record, not \[5, 5\]"),
        ([record(0), record(1, embedding=np.ones((4, 2)))], {}, r"shape \(3, 2\), not \(4, 2\)"),
        ([record(0), record(1, samples=[])], {}, "samples has 0 entries"),
        ([record(0), record(1)], {"groups": [0, 1]}, "groups has 2 entries"),
        ([record(0), record(1)], {"groups": [0, 1, 9]}, r"groups must lie in 0\.\.5"),
    ],
)
def test_the_time_machine_refuses_records_that_disagree(records, options, message):
    with pytest.raises(ValueError, match=message):
        machine(records, **options)


def test_questions_may_be_objects_or_mappings():
    assert web.quiz([SimpleNamespace(**QUESTION)]).data == web.quiz([QUESTION]).data
    static = web.quiz([QUESTION]).static
    assert "<code>x &lt; 1</code>" in static
    assert "<em>no</em>" in static
    assert "<details>" in static


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 2}, "the answer of 'Is `x < 1`\\?' is 2, but there are 2 choices"),
        ({"why": ["one"]}, "2 choices, but 1 explanations"),
        ({"choices": ["one"], "answer": 0}, "at least two choices"),
        ({"text": None}, "a question lacks 'text'"),
    ],
)
def test_an_incomplete_question_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        web.quiz([QUESTION | change])


# ---- Shannon's game


def test_shannons_bounds_are_those_worked_by_hand():
    # q = 1/2, 1/4, 1/4: lower = (1/4)·1·0 + 0·2·1 + (1/4)·3·log₂3, upper = 1.5 bits.
    low, high = web.shannon_bounds([1, 1, 2, 3])
    assert high == pytest.approx(1.5)
    assert low == pytest.approx(0.75 * np.log2(3))
    assert web.shannon_bounds([1] * 7) == (0.0, 0.0)


def test_an_even_choice_among_m_symbols_has_both_bounds_at_log_m():
    for m in (2, 5, 27):
        assert web.shannon_bounds(range(1, m + 1)) == pytest.approx((np.log2(m), np.log2(m)))


def test_the_entropy_lies_between_shannons_bounds_for_a_player_who_knows_the_probabilities():
    rng = np.random.default_rng(7)
    p = np.sort(rng.dirichlet(np.full(11, 0.4), size=13), axis=1)[:, ::-1]  # 13 contexts
    entropy = -(p * np.log2(np.maximum(p, 1e-300))).sum(axis=1).mean()
    drawn = np.concatenate([rng.choice(11, size=20_000, p=row) + 1 for row in p])
    low, high = web.shannon_bounds(drawn.tolist())
    assert low < entropy + 0.01
    assert entropy - 0.01 < high


def test_the_game_refuses_guesses_that_do_not_fit_the_text():
    players = {"a": "10-gram", "b": "network"}
    with pytest.raises(ValueError, match="11 symbols to guess, but 10 lists of guesses"):
        web.shannon_game([passage(hidden="It was: so x")], players=players)
    with pytest.raises(ValueError, match="does not name each of the 27"):
        web.shannon_game([passage(guesses={"a": ["abc"] * 10, "b": ["abc"] * 10})], players=players)
    with pytest.raises(ValueError, match="at least one passage"):
        web.shannon_game([], players=players)
    with pytest.raises(ValueError, match="at least one number of guesses"):
        web.shannon_bounds([])


def test_the_static_table_of_the_game_gives_each_player_a_row():
    html = web.shannon_game([passage()], players={"a": "10-gram", "b": "network"}).static
    assert html.count("<tr>") == 3
    assert "<td>network</td><td>100%</td><td>0.00</td><td>0.00</td><td>0.50</td>" in html


# ---- self-check and gradient descent


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "lacks 'title'"),
        (SECTION | {"target": "Two words"}, "is no label"),
        (SECTION | {"minutes": 0}, "takes 0 minutes"),
    ],
)
def test_a_self_check_refuses_a_section_that_cannot_be_reached(section, message):
    with pytest.raises(ValueError, match=message):
        web.self_check([QUESTION | {"section": section}])
    with pytest.raises(ValueError, match="at least one"):
        web.self_check([])


def test_the_static_self_check_names_the_section_beside_each_answer():
    static = web.self_check([QUESTION | {"section": SECTION}]).static
    assert '<a href="#masks">Masks &amp; weights</a> (5 minutes)' in static


def test_descent_follows_the_gradient_and_errors_shrink_by_the_predicted_factors():
    hessian, minimum = np.array(BOWL["hessian"]), np.array(BOWL["minimum"])
    curvatures, directions = np.linalg.eigh(hessian)
    places = descend(hessian, minimum, np.array([2.0, 1.0]), 0.1, 7)
    errors = (places - minimum) @ directions
    assert places.shape == (8, 2)
    np.testing.assert_allclose(errors[1:], errors[:-1] * (1 - 0.1 * curvatures))
    far = descend(hessian, minimum, np.array([2.0, 1.0]), 2.1 / curvatures[-1], 200)
    assert np.abs(far[-1] - minimum).max() > 1e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hessian": [[1.0, 2.0], [2.0, 1.0]]}, "no bowl"),
        ({"hessian": [[1.0, 0.5], [0.0, 1.0]]}, "no bowl"),
        ({"hessian": [1.0, 2.0]}, "needs a hessian"),
    ],
)
def test_a_descent_refuses_a_surface_without_a_minimum(changes, message):
    with pytest.raises(ValueError, match=message):
        web.descent_explorer({"s": BOWL | changes}, start=(2, 1))


def test_a_descent_refuses_a_rate_beyond_its_slider_and_an_empty_list():
    with pytest.raises(ValueError, match="rate is 2"):
        web.descent_explorer({"s": BOWL}, start=(2, 1), rate=2.0)
    with pytest.raises(ValueError, match="at least one surface"):
        web.descent_explorer({})


# ---- the error museum


def test_a_log_is_thinned_to_means_over_growing_stretches_and_keeps_its_first_step():
    curve = thin(np.array([5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0]), n_points=4)
    assert curve[0] == [1, 5000]
    assert curve[-1][0] == 8
    steps = [step for step, _ in curve]
    assert steps == sorted(set(steps))
    total = sum(
        (end - start) * loss for (end, loss), start in zip(curve, [0, *steps], strict=False)
    )
    assert total == pytest.approx(39_000, abs=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": [1.0, float("nan"), 1.0]}, "not finite"),
        ({"grad_norm": [1.0, 2.0]}, "one number for each"),
        ({"val_loss": [1.0, 2.0]}, "pairs of step and loss"),
        ({"answer": 2}, "there are 2 choices"),
        ({"why": ["one"]}, "1 explanations"),
        ({"sign": ""}, "lacks 'sign'"),
    ],
)
def test_a_museum_refuses_an_exhibit_that_is_incomplete(changes, message):
    with pytest.raises(ValueError, match=message):
        web.error_museum([broken_run(**changes)], broken_run())


def test_a_museum_without_exhibits_or_a_run_without_sample_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        web.error_museum([], broken_run())
    sound = broken_run()
    del sound["sample"]
    with pytest.raises(ValueError, match="'sound' lacks 'sample'"):
        web.error_museum([broken_run()], sound)


def test_the_static_museum_folds_each_answer_away_and_escapes_the_sample():
    static = web.error_museum([broken_run(), broken_run(answer=1)], broken_run()).static
    assert static.count("<details>") == static.count("<img") == 2
    assert "She &lt;was&gt;" in static
    assert "No mask. Too good. Change a later token." in static
