"""The exercise engine: what it compares, what it says, what it survives."""

import contextlib
import math
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from llmbook import exercises
from llmbook.exercises import grading, outcomes, render
from llmbook.exercises.cells import exercise_cells, refresh, wanted_cells
from llmbook.exercises.compare import Tolerance, difference
from llmbook.exercises.core import Case, Exercise, Misconception, Property, UnknownExercise, find
from llmbook.exercises.describe import sketch
from llmbook.exercises.grading import grade, judge
from llmbook.exercises.relation import relation
from llmbook.exercises.stubs import stub, stub_source
from llmbook.exercises.timeout import TimeUp, time_limit

T, S, D = 5, 7, 3  # distinct primes: a swapped axis cannot pass


def row_means(x, weights):
    """Weighted mean of every row.

    Args:
        x: numbers (T, S).
        weights: a list of S numbers.
    """
    w = torch.tensor(weights)
    return (x * w).sum(dim=1) / w.sum()


def _column_means(x, weights):
    return x.mean(dim=0)


def _plain_means(x, weights):
    return x.mean(dim=1)


def _raises(x, weights):
    raise KeyError("weights")


def _sum_of_weights_forgotten(x, weights):
    return (x * torch.tensor(weights)).sum(dim=1)


def _cases(g):
    return [
        Case((torch.randn(t, s, generator=g), torch.rand(s, generator=g).tolist()), f"T={t}, S={s}")
        for t, s in [(T, S), (3, 2), (1, 11)]
    ]


def _is_linear(answer):
    x = torch.arange(6.0).reshape(2, 3)
    ratio = (answer(3 * x, [1.0, 2.0, 3.0]) / answer(x, [1.0, 2.0, 3.0]))[1].item()
    assert math.isclose(ratio, 3, rel_tol=1e-4), f"3x gives {ratio:.2f} times the result."


def make(**changes):
    fields = {
        "id": "99.row_means",
        "title": "Means",
        "statement": "Write `row_means(x, weights)`.",
        "solution": row_means,
        "example": Case((torch.tensor([[1.0, 4.0]]), [1.0, 2.0]), "the printed example"),
        "cases": _cases,
        "properties": [Property("The mean is linear.", _is_linear)],
        "misconceptions": [
            Misconception("columns", _column_means, "You average over `T`."),
            Misconception("plain", _plain_means, "The weights are not used."),
            Misconception("unscaled", _sum_of_weights_forgotten, "Divide by their sum."),
            Misconception("raises", _raises, "A list has no keys."),
        ],
        "nudges": ["Look at the axes.", "Use **dim** < 2."],
        "success": "A mean it is.",
    }
    return Exercise(**(fields | changes))


EXERCISE = make()


def verdict(answer, exercise=EXERCISE, **options):
    return judge(exercise, answer, **options)


# What is compared -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (torch.ones(2, 3), torch.ones(2, 3) + 1e-6),
        (torch.tensor([math.nan, math.inf]), torch.tensor([math.nan, math.inf])),
        (torch.tensor([1, 2]), torch.tensor([1, 2], dtype=torch.int32)),
        (torch.ones(3, dtype=torch.float32), torch.ones(3, dtype=torch.float64)),
        (np.arange(3.0), np.arange(3.0)),
        (np.array(["a", "b"]), np.array(["a", "b"])),
        (3.0, 3),
        (3.0, np.float32(3.0)),
        (3, torch.tensor(3)),
        (math.nan, math.nan),
        (torch.tensor(2.5), 2.5),
        (True, np.bool_(True)),
        ("text", "text"),
        (None, None),
        ([1, (2.0, {"a": torch.ones(2)})], [1, (2.0, {"a": torch.ones(2)})]),
        ({1, 2}, {2, 1}),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
    ],
)
def test_equal_answers_agree(expected, got):
    assert difference(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "clause"),
    [
        (torch.ones(T, S), torch.ones(S, T), "expected shape (5, 7), got (7, 5)"),
        (torch.ones(2), torch.tensor([1.0, 2.0]), "expected [1, 1], got [1, 2]"),
        (
            torch.zeros(T, S),
            torch.zeros(T, S).index_put((torch.tensor(3), torch.tensor(4)), torch.tensor(0.5)),
            "1 of 35 numbers differ, most at [3, 4]: expected 0, got 0.5",
        ),
        (torch.zeros(T, D), torch.full((T, D), math.nan), "first at [0, 0]: expected 0, got nan"),
        (torch.ones(2), torch.ones(2).long(), "numbers of type float32, got int64"),
        (torch.ones(2).bool(), torch.ones(2), "numbers of type bool, got float32"),
        (torch.ones(()), 2.0, "expected 1, got 2"),
        (torch.ones(()), torch.ones(1), "expected shape (), got (1,)"),
        (torch.ones(2), [1.0, 1.0], "a tensor of shape (2,), got a list of length 2"),
        (torch.ones(2), np.ones(2), "got a NumPy array of shape (2,)"),
        (torch.ones(2), None, "got None (does the function end with a return?)"),
        (3, 3.0, "the whole number 3"),
        (3, 4, "expected 3, got 4"),
        (0.1, 0.2, "expected 0.1, got 0.2"),
        (0.12345, 0.12349, "expected 0.12345, got 0.12349"),
        (True, 1, "expected True, got the number 1"),
        ("aab", "aba", "expected 'aab', got 'aba'"),
        ("x" * 90 + "a", "x" * 90 + "b", "the texts part at position 90"),
        ("a", b"a", "expected the text 'a'"),
        ([1, 2], (1, 2), "a list of length 2, got a tuple of length 2"),
        ([1, 2], [1], "a list of length 2, got length 1"),
        ([1, 2, 3], [1, 5], "length 2; result[1]: expected 2, got 5"),
        ([1], (x for x in [1]), "a generator (wrap it in list(…))"),
        ({"a": 1}, {}, "lacks the key 'a'"),
        ({"a": 1}, {"a": 1, "b": 2}, "a key too many: 'b'"),
        ({"a": [1.0]}, {"a": [2.0]}, "result['a'][0]: expected 1, got 2"),
        ({1}, {1, 2}, "an element too many: 2"),
        (None, 0, "expected None, got the number 0"),
        (1.0, len, "got the function len"),
    ],
)
def test_a_difference_is_said_in_plain_words(expected, got, clause):
    assert clause in (difference(expected, got) or "no difference")


def test_exact_types_are_asked_for_only_where_the_exercise_says_so():
    narrow, wide = torch.ones(3, dtype=torch.int8), torch.ones(3, dtype=torch.int64)
    assert difference(narrow, wide) is None
    assert "int8, got int64" in difference(narrow, wide, Tolerance(exact_dtype=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x.T, "transposed"),
        (lambda x: 4 * x, "4 times the expected"),
        (lambda x: -x, "sign is turned round"),
        (lambda x: x + 2, "2 too large"),
        (lambda x: x * math.log(2), "bits and the other in nats"),
    ],
)
def test_a_plain_relation_to_the_right_result_is_named(change, words):
    x = torch.randn(T, S, generator=torch.Generator().manual_seed(0))
    assert words in relation(x, change(x), Tolerance())
    assert relation((1.0, x), (1.0, change(x)), Tolerance()).startswith("result[1]: ")
    assert "another order" in relation((x, 2 * x), (2 * x, x), Tolerance())
    assert relation((x, 2 * x), (x, 2 * x), Tolerance()) is None
    assert relation(x, x, Tolerance()) is None
    assert relation(x, x.square(), Tolerance()) is None


# What is said ---------------------------------------------------------------------------------


def test_a_right_answer_gets_a_tick_and_one_sentence():
    result = verdict(row_means)
    assert result.message == "✓ 99.row_means: right on 4 cases and 1 law. A mean it is."
    assert result.passed
    assert result


def test_a_known_mistake_gets_its_hint_however_it_is_written():
    result = verdict(lambda x, weights: x.sum(1) / x.shape[1])
    assert (result.status, result.misconception) == ("misconception", "plain")
    assert "The weights are not used." in result.message


def test_an_unknown_mistake_gets_the_first_failing_case_with_its_numbers():
    def halves_long_rows(x, weights):
        return row_means(x, weights) / (2 if x.shape[1] > 3 else 1)

    result = verdict(halves_long_rows)
    assert result.status == "failed"
    assert "case 2 (T=5, S=7): expected [" in result.message
    assert "Every number is 0.5 times the expected one." in result.message
    assert "In case 2" not in result.message
    assert "Right on 2 of 4 cases." in result.message
    assert "Given: x = 5×7, weights = [" in result.message


def test_what_only_a_later_case_tells_is_said_of_that_case():
    result = verdict(lambda x, weights: row_means(x, weights) * x.shape[1])
    assert "case 1 (the printed example): expected [3], got [6]. In case 2: every number is 7" in (
        result.message
    )


def test_the_untouched_stub_is_not_attempted_yet():
    assert "not attempted yet" in verdict(stub(EXERCISE)).message
    assert verdict(stub(EXERCISE)).status == "not attempted"


def test_an_exception_of_pytorch_s_is_no_stub():
    def unsupported(x, weights):
        raise NotImplementedError("\"addmm\" not implemented for 'Bool'")

    assert verdict(unsupported).status == "error"


def test_an_exception_names_the_learner_s_own_line():
    def broken(x, weights):
        scores = x @ x
        return scores

    result = verdict(broken)
    assert result.status == "error"
    line = broken.__code__.co_firstlineno + 1
    assert f"in line {line}: `scores = x @ x`" in result.message
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in result.message
    assert "last axis of a and the second to last of b" in result.message
    assert "Traceback" not in result.message


def test_an_exception_inside_the_package_is_shown_at_the_learner_s_call():
    def wrong_call(x, weights):
        return find(x)  # raises inside the package

    result = verdict(wrong_call)
    assert "`return find(x)  # raises inside the package`" in result.message


def test_an_exception_that_a_misconception_raises_is_known():
    def also_raises(x, weights):
        return {}["weights"]

    assert verdict(also_raises).misconception == "raises"


def test_another_cause_of_the_same_type_of_exception_is_not_taken_for_the_misconception():
    def other_cause(x, weights):
        return {}["sum"]

    assert verdict(other_cause).status == "error"


def test_the_answer_of_an_exercise_may_be_an_exception():
    def halve(n):
        """Half of an even number."""
        if n % 2:
            raise ValueError("odd")
        return n // 2

    exercise = make(
        id="99.halve",
        solution=halve,
        example=Case((4,)),
        cases=lambda g: [Case((3,)), Case((10,))],
        properties=[],
        misconceptions=[
            Misconception("float", lambda n: n / 2, "Whole numbers."),
            Misconception("rounds", lambda n: n // 2, "Refuse odd numbers."),
            Misconception("twice", lambda n: 2 * n, "Half."),
        ],
    )
    assert verdict(halve, exercise).passed
    assert verdict(lambda n: n // 2, exercise).misconception == "rounds"

    def refuses_by_type(n):
        if n % 2:
            raise TypeError("odd")
        return n // 2

    result = verdict(refuses_by_type, exercise)
    assert "expected the exception ValueError, got TypeError" in result.message


def test_a_law_that_fails_is_quoted_with_its_numbers():
    def not_linear(x, weights):
        drift = 1 if torch.equal(x, 3 * torch.arange(6.0).reshape(2, 3)) else 0
        return row_means(x, weights) + drift

    result = verdict(not_linear)
    assert result.status == "failed"
    assert "a law that does not hold: The mean is linear. 3x gives" in result.message


def test_wrong_parameters_are_explained_before_anything_runs():
    result = verdict(lambda x: x)
    assert "called with (x, weights), but its parameters are (x)" in result.message


def test_a_result_in_place_of_the_function_is_explained():
    result = verdict(torch.ones(2))
    assert "without brackets" in result.message
    assert 'grade("99.row_means", row_means)' in result.message


def test_a_tuple_of_one_is_shown_as_python_writes_it():
    assert sketch((4,)) == "(4,)"
    assert sketch(()) == "()"
    assert sketch((3, 1)) == "(3, 1)"
    assert sketch([4]) == "[4]"


def test_what_the_answer_printed_in_the_failing_case_is_shown_and_nothing_else(capsys):
    def prints(x, weights):
        print("sizes", tuple(x.shape))
        return x

    result = verdict(prints)
    assert "Printed by your function: sizes (1, 2)" in result.message
    assert capsys.readouterr().out == ""


def test_unknown_ids_are_answered_with_the_nearest(capsys):
    assert grade("07.scaled_score", row_means).status == "error"
    assert "Did you mean 07.scaled_scores?" in capsys.readouterr().out
    exercises.hint("98.nothing")
    exercises.show_solution("07.nothing")
    out = capsys.readouterr().out
    assert "Chapter '98' has no exercises" in out
    assert "There is no exercise '07.nothing'" in out
    with pytest.raises(UnknownExercise, match="is no exercise id"):
        find("nonsense")


def test_a_result_is_silent_as_the_last_line_of_a_cell():
    shell = pytest.importorskip("IPython.core.formatters")
    data, _ = shell.DisplayFormatter().format(verdict(row_means))
    assert data == {}


# What it survives -----------------------------------------------------------------------------


def test_an_answer_cannot_corrupt_the_grader_s_inputs():
    def vandal(x, weights):
        mean = row_means(x, weights)
        x.zero_()
        weights.clear()
        return mean

    result = verdict(vandal)
    assert result.status == "failed"
    assert "changes its argument `x` and `weights` in place" in result.message
    assert verdict(row_means).passed


def test_an_exercise_may_ask_to_change_its_arguments():
    exercise = make(mutates=True)

    def in_place(x, weights):
        mean = row_means(x, weights)
        x.zero_()
        return mean

    assert verdict(in_place, exercise).passed


def test_returning_the_same_tensor_again_and_again_is_seen_through():
    store = torch.zeros(T)

    def reuses(x, weights):
        mean = row_means(x, weights)
        store[: len(mean)] = mean
        return store[: len(mean)]

    assert verdict(reuses, make(properties=[])).passed


def test_gradients_and_chance_are_left_as_they_were():
    def chance():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()

    before = chance()
    # Not through judge: the run-time checks of types under pytest draw from random themselves.
    with outcomes._fixed_chance():
        torch.rand(5), np.random.rand(), random.random()
    assert chance() == before
    with torch.no_grad():
        verdict(row_means)
        assert not torch.is_grad_enabled()


def test_an_answer_that_draws_at_random_draws_the_same_in_every_run():
    drawn = []

    def draws(x, weights):
        drawn.append((torch.rand(1).item(), np.random.rand()))
        return x

    verdict(draws)
    assert len(set(drawn[:4])) == 1  # the four cases; the law calls it twice


def test_a_notebook_in_double_precision_is_graded_like_any_other():
    torch.set_default_dtype(torch.float64)
    try:
        assert verdict(row_means).passed
        assert verdict(row_means, make()).passed
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_leaving_python_is_an_error_like_any_other():
    result = verdict(lambda x, weights: sys.exit(3))
    assert "SystemExit: 3" in result.message


def test_a_class_can_be_asked_for():
    class Counter:
        """Counts tokens."""

        def __init__(self, tokens):
            """Keep the tokens."""
            self.tokens = tokens

        def count(self, token):
            """How often a token occurs."""
            return self.tokens.count(token)

    class FirstOnly(Counter):
        def count(self, token):
            return int(token in self.tokens)

    class OffByOne(Counter):
        def count(self, token):
            return super().count(token) + 1

    class Length(Counter):
        def count(self, token):
            return len(self.tokens)

    exercise = make(
        id="99.counter",
        solution=Counter,
        call=lambda cls, tokens, token: cls(tokens).count(token),
        example=Case((list("aab"), "a")),
        cases=lambda g: [Case((list("abcab"), "b")), Case(([], "a"))],
        properties=[],
        misconceptions=[
            Misconception("first", FirstOnly, "Count all."),
            Misconception("off", OffByOne, "Start at 0."),
            Misconception("length", Length, "Compare tokens."),
        ],
    )
    assert verdict(Counter, exercise).passed
    assert verdict(FirstOnly, exercise).misconception == "first"
    assert verdict(int, exercise).status == "error"


posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer on this platform")


@posix
def test_an_endless_loop_is_cut_off_and_located():
    def endless(x, weights):
        while True:
            print("still here")

    started = time.monotonic()
    result = verdict(endless, seconds=0.3)
    assert time.monotonic() - started < 3
    assert result.status == "timed out"
    assert "cut off after 0.3 seconds in case 1 (the printed example), at line" in result.message
    assert "Does every loop come to an end?" in result.message


@posix
def test_an_endless_loop_that_swallows_exceptions_is_cut_off_too():
    def stubborn(x, weights):
        while True:
            with contextlib.suppress(Exception):
                int("x")

    assert verdict(stubborn, seconds=0.3).status == "timed out"


@posix
def test_the_alarm_rings_again_when_a_bare_except_swallowed_it():
    rings = 0

    def deaf():
        nonlocal rings
        try:
            time.sleep(30)
        except:  # noqa: E722 - as learners write it
            rings += 1
        time.sleep(30)

    with pytest.raises(TimeUp), time_limit(0.1):
        deaf()
    assert rings == 1


@posix
def test_the_timer_that_was_set_before_is_put_back():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 60)
        with pytest.raises(TimeUp), time_limit(0.1):
            time.sleep(5)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        assert 55 < left < 60
        assert signal.getsignal(signal.SIGALRM) is not before
        signal.raise_signal(signal.SIGALRM)
        assert rung == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_where_nothing_can_be_cut_off_the_reader_is_told_once(capsys, monkeypatch):
    monkeypatch.setattr(grading, "_told_about_limit", False)
    answer = find("07.scaled_scores").solution
    results = []

    def in_a_thread():
        results.extend(grade("07.scaled_scores", answer) for _ in range(2))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    out = capsys.readouterr().out
    assert out.count("cannot be cut off") == 1
    assert [r.status for r in results] == ["passed", "passed"]


# What is shown --------------------------------------------------------------------------------


def test_the_stub_keeps_signature_and_docstring_and_nothing_of_the_solution():
    source = stub_source(EXERCISE)
    assert source.startswith("def row_means(x, weights):")
    assert "weights: a list of S numbers." in source
    assert source.endswith('"""\n    raise NotImplementedError')
    assert "sum" not in source.split('"""')[2]


def test_each_call_of_hint_opens_one_more(capsys):
    exercises._hints_shown.clear()
    for _ in range(6):
        exercises.hint("07.scaled_scores")
    out = capsys.readouterr().out
    assert [out.count(f"Hint {n} of 3") for n in (1, 2, 3)] == [6, 5, 4]
    assert out.count("Common mistakes") == 3
    assert out.count('show_solution("07.scaled_scores")') == 3


def test_hints_are_nested_and_escaped_and_the_site_folds_them_all():
    page = render.hints(EXERCISE, level=1).html
    assert page.count("<details") == page.count("</details>") == 3
    assert page.count(" open>") == 1
    assert "<strong>dim</strong> &lt; 2." in page
    assert "<li>You average over <code>T</code>.</li>" in page
    assert " open" not in render.close_hints(page)
    assert "<li>" not in render.hints(EXERCISE, level=1).text


def test_the_solution_is_folded_reachable_and_without_colours_or_links():
    folded = render.solution(find("07.scaled_scores"))
    assert folded.html.startswith('<details class="llmbook-solution"><summary>')
    assert (
        '<pre tabindex="0" role="group" aria-label="Solution of 07.scaled_scores">' in folded.html
    )
    assert "http" not in folded.html
    assert "#" not in folded.html.split("<style>")[1]
    assert folded.text.startswith("def scaled_scores(")


def test_the_solution_can_be_read_where_pygments_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygments", None)
    page = render.solution(EXERCISE).html
    assert "<code>def row_means(x, weights):" in page
    assert "<span" not in page


def test_the_quiz_is_a_component():
    assert 'data-component="quiz"' in exercises.quiz("07")._repr_html_()


def test_generated_cells_are_kept_in_step():
    cells = exercise_cells("07.scaled_scores")
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code", "code"]
    compile(cells[1]["source"], "cell", "exec")
    notebook = {"cells": [dict(cell, metadata=dict(cell["metadata"])) for cell in cells]}
    assert refresh(notebook, "07") == []
    notebook["cells"][1].update(source="def old(): ...", outputs=["x"])
    assert refresh(notebook, "07") == [cells[1]["id"]]
    assert notebook["cells"][1]["outputs"] == []
    assert {cell["id"] for cell in cells} <= set(wanted_cells("07"))


def test_grading_one_chapter_imports_no_other_and_no_transformers():
    code = (
        "import sys; from llmbook.exercises import grade; from llmbook.exercises.core import find;"
        "grade('07.scaled_scores', find('07.scaled_scores').solution);"
        "print([m for m in sys.modules if m.startswith('llmbook.exercises.ch')],"
        "'transformers' in sys.modules, 'IPython' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "['llmbook.exercises.ch07'] False False"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "7.means"}, "write it as"),
        ({"misconceptions": []}, "3 are needed"),
        ({"nudges": ["one"]}, "2 are needed"),
    ],
)
def test_an_incomplete_exercise_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)
