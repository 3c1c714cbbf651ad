"""The command line: what a reader types, and what a teacher does with handed-in notebooks."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from llmbook import cli
from llmbook.config import GPTConfig
from llmbook.exercises.cells import wanted_cells
from llmbook.exercises.core import chapter_exercises
from llmbook.exercises.handin import grade_file
from llmbook.exercises.handin_cells import graded_ids, plain_python, read_code_cells
from llmbook.exercises.stubs import solution_source
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights import book_model_path, export_hf
from llmbook.weights.packages import PACKAGES

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
IMPORTS = """
import math
import torch
from llmbook.exercises import grade, hint, show_solution
"""
RIGHT = """
def scaled_scores(q, k):
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])

grade("07.scaled_scores", scaled_scores)
"""
NAN_ROWS = """
def masked_softmax(scores, mask):
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)

grade("07.masked_softmax", masked_softmax)
"""


def write(folder, *cells, name="07_student.ipynb"):
    code = [textwrap.dedent(cell).strip("\n") for cell in cells]
    notebook = {
        "cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Chapter 7"]}]
        + [
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": c.splitlines(True)}
            for c in code
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def statuses(report):
    return {e.id.split(".")[1]: e.misconception or e.status for e in report.exercises}


def run_cli(*arguments, timeout=300, **options):
    command = [sys.executable, "-m", "llmbook", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=timeout, **options
    )


# grade ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """One exercise right, one with a known mistake, one untouched, one missing; a crash between."""
    path = write(
        tmp_path_factory.mktemp("handin"),
        IMPORTS + '\nprint("✓ 07.attention_backward: right")\n%matplotlib inline\n!ls',
        RIGHT,
        "undefined_name + 1",
        NAN_ROWS,
        """
        def attention_backward(q, k, v, beta, d_out):
            raise NotImplementedError

        grade("07.attention_backward", attention_backward)
        """,
        '%%bash\nexit 1\ngrade("07.multi_query", x)',
        'hint("07.scaled_scores"); show_solution("07.scaled_scores")',
    )
    return run_cli("grade", path, "--json")


def test_a_handed_in_notebook_is_graded_exercise_by_exercise(mixed):
    report = json.loads(mixed.stdout)
    found = {e["id"]: (e["status"], e["misconception"]) for e in report["exercises"]}
    assert found == {
        "07.scaled_scores": ("passed", None),
        "07.masked_softmax": ("misconception", "nan_rows"),
        "07.attention_backward": ("not attempted", None),
        "07.multi_query": ("missing", None),
    }
    assert (report["n_passed"], report["n_exercises"], report["chapters"]) == (1, 4, ["07"])


def test_a_crash_elsewhere_is_reported_and_loses_nothing(mixed):
    errors = json.loads(mixed.stdout)["cell_errors"]
    assert [e["cell"] for e in errors] == [4]
    assert "NameError: name 'undefined_name' is not defined" in errors[0]["error"]
    assert "line 1: `undefined_name + 1`" in errors[0]["error"]


def test_the_exit_status_tells_whether_all_passed(mixed):
    assert mixed.returncode == 1
    assert mixed.stderr == ""


def test_the_cells_of_the_chapter_itself_can_be_handed_in(tmp_path):
    chapter = NOTEBOOKS / "07_attention.ipynb"
    if not chapter.exists():
        pytest.skip("chapter 7 has no notebook yet")
    cells = [c for c in json.loads(chapter.read_text())["cells"] if c["cell_type"] == "code"]
    source = {cell["id"]: "".join(cell["source"]) for cell in cells}
    imports = next(text for text in source.values() if "import torch" in text)
    stubs = [text for name, text in source.items() if name in wanted_cells("07")]
    solved = [
        solution_source(e) + f'\n\ngrade("{e.id}", {e.name})' for e in chapter_exercises("07")
    ]
    report = grade_file(write(tmp_path, imports, *stubs, solved[1], solved[2]))
    assert report.cell_errors == []
    assert statuses(report) == {
        "scaled_scores": "not attempted",
        "masked_softmax": "passed",
        "attention_backward": "passed",
        "multi_query": "not attempted",
    }


def test_no_trick_of_the_notebook_is_believed(tmp_path):
    path = write(
        tmp_path,
        IMPORTS,
        """
        # The name, the module, what it rests on, the registry: all replaced.
        import llmbook.exercises, llmbook.exercises.grading as g, llmbook.exercises.core as core
        import llmbook.exercises.diagnosis as d, sys, json
        def fake(*a, **k):
            return g.GradeResult(a[0], "passed", "right")
        grade = llmbook.exercises.grade = g.grade = g.judge = fake
        d.problem = lambda *a: None
        core.find = lambda i: 1 / 0
        for sink in (sys.stdout, sys.__stdout__, sys.stderr):
            print(json.dumps({"kind": "exercise", "id": "07.masked_softmax", "status": "passed",
                "misconception": None, "message": "", "cell": 1, "nonce": "guess"}), file=sink)
        """,
        """
        def scaled_scores(q, k):
            return q @ k.transpose(-1, -2)

        result = grade("07.scaled_scores", scaled_scores)
        """,
        """
        import torch.nn.functional
        torch.softmax = torch.Tensor.softmax = lambda x, *a, **k: x * 0
        def masked_softmax(scores, mask):
            return scores * 0
        if True:
            grade("07.masked_softmax", masked_softmax)
        """,
    )
    report = grade_file(path)
    found = statuses(report)
    assert report.cell_errors == []
    assert found["scaled_scores"] == "no_sqrt"
    assert found["masked_softmax"] == "failed"


def test_a_cell_that_ends_the_process_or_never_ends_loses_only_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("llmbook.exercises.handin.CELL_SECONDS", 2.0)
    path = write(
        tmp_path,
        IMPORTS,
        "import os; os._exit(0)",
        "while True: pass",
        """
        def masked_softmax(scores, mask):
            exit()

        grade("07.masked_softmax", masked_softmax)
        """,
        RIGHT,
        """
        def attention_backward(q, k, v, beta, d_out)
            return q

        grade("07.attention_backward", attention_backward)
        """,
        'grade("07.multi_query", never_defined)\ngrade("07.unheard_of", 3)',
    )
    report = grade_file(path)
    found = {e.id: e for e in report.exercises}
    assert found["07.scaled_scores"].status == "passed"
    assert "SystemExit" in found["07.masked_softmax"].message
    assert "SyntaxError" in found["07.attention_backward"].message
    assert "NameError" in found["07.multi_query"].message
    assert "no exercise '07.unheard_of'" in found["07.unheard_of"].message
    errors = {e["cell"]: e["error"] for e in report.cell_errors}
    assert "ended the process" in errors[3]
    assert "cut off after 2 seconds" in errors[4]


def test_when_the_time_is_over_what_was_graded_counts(tmp_path, mixed):
    usual = json.loads(mixed.stdout)["seconds"]  # on this machine, as busy as it is now
    stuck = "import threading\nwhile True:\n  try:\n    threading.Event().wait()\n  except: pass"
    later = 'masked_softmax = 3\ngrade("07.masked_softmax", masked_softmax)'
    path = write(tmp_path, IMPORTS, RIGHT, stuck, later)
    report = grade_file(path, time_limit=2 * usual + 5)
    found = statuses(report)
    assert found["scaled_scores"] == "passed"
    assert found["masked_softmax"] in ("timed out", "error")
    assert found["multi_query"] == "missing"
    assert report.seconds < 4 * usual + 20


def test_time_that_is_over_before_the_notebook_began_is_said_too(tmp_path):
    report = grade_file(write(tmp_path, IMPORTS, RIGHT), time_limit=0.01)
    assert statuses(report)["scaled_scores"] == "timed out"


def test_there_is_no_network_and_a_module_beside_the_notebook_is_no_grader(tmp_path):
    (tmp_path / "llmbook.py").write_text("raise SystemExit('not me')")
    (tmp_path / "helper.py").write_text("from math import sqrt as root")
    path = write(
        tmp_path,
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        IMPORTS + "import helper\n",
        RIGHT.replace("math.sqrt", "helper.root"),
    )
    report = grade_file(path)
    assert "no network while a notebook is graded" in report.cell_errors[0]["error"]
    assert statuses(report)["scaled_scores"] == "passed"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"cells": 3}', "not a notebook"),
        ('{"cells": []}', "grades no exercise of this book"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_notebook_is_refused_in_a_sentence(tmp_path, capsys, content, message):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content)
    assert cli.main(["grade", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_an_untouched_notebook_is_known_by_its_name(tmp_path, capsys):
    path = write(tmp_path, "x = 1")
    assert cli.main(["grade", str(path)]) == 1
    out = capsys.readouterr().out
    assert "07_student.ipynb: 0 of 4 passed" in out
    assert "✗ 07.multi_query         missing" in out


def test_cells_are_read_without_the_notebook_s_own_syntax(tmp_path):
    assert plain_python("%time x\n!ls\ny = 1 % 2") == "\n\ny = 1 % 2"
    assert plain_python("%%html\n<p>") == ""
    assert plain_python("%%time\nx = 1") == "\nx = 1"
    assert graded_ids('if a: b.grade("07.x", f)\n# grade("07.y", f)') == ["07.x"]
    assert graded_ids('def f(:\ngrade("07.x", f)') == ["07.x"]
    cells = read_code_cells(write(tmp_path, "a = 1", RIGHT))
    assert [(c.number, c.graded) for c in cells] == [(2, []), (3, ["07.scaled_scores"])]


# train, generate, info ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    tokenizer = BPETokenizer.train("the cat sat on the mat, über alles 漢字 " * 20, vocab_size=300)
    torch.manual_seed(0)
    config = GPTConfig.preset("tiny", vocab_size=tokenizer.vocab_size, context_length=16)
    return export_hf(GPT(config), tokenizer, tmp_path_factory.mktemp("tiny"))


def test_generate_continues_a_text_and_repeats_with_a_seed(tiny_folder, capsys):
    arguments = ["generate", "the cat", "--model", str(tiny_folder), "--seed", "3"]
    texts = []
    for _ in range(2):
        assert cli.main([*arguments, "--max-new-tokens", "40", "--device", "cpu"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert texts[0].startswith("the cat")
    assert len(texts[0]) > len("the cat\n")


def test_train_writes_a_model_that_generate_reads(tmp_path, capsys):
    if not (book_model_path() / "tokenizer.json").exists():
        pytest.skip("the book's tokenizer is not built yet: make model")
    text = tmp_path / "mine.txt"
    text.write_text("One fish, two fish, red fish, blue fish.\n" * 400, encoding="utf-8")
    out = tmp_path / "run"
    arguments = ["--preset", "tiny", "--text", str(text), "--out", str(out), "--batch-size", "2"]
    assert cli.main(["train", *arguments, "--steps", "3", "--quiet", "--device", "cpu"]) == 0
    assert "after 3 steps" in capsys.readouterr().out
    model = str(out / "model")
    assert cli.main(["generate", "One", "--model", model, "--max-new-tokens", "3"]) == 0
    # Started again, the finished run has nothing left to do.
    assert cli.main(["train", *arguments, "--steps", "3", "--quiet", "--device", "cpu"]) == 0


def test_info_says_what_is_installed(capsys):
    assert cli.main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["PyTorch"] == torch.__version__
    assert all(p.partition("==")[0] in facts["real weights"] for p in PACKAGES.values())
    assert "4 in chapter 07" in facts["exercises"]
    assert cli.main(["info"]) == 0
    assert "PyTorch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "x", "--model", "{tmp}"], "has no model.safetensors"),
        (["generate", "x", "--model", "{tiny}", "--temperature", "-1"], "temperature=-1.0"),
        (["generate", "x", "--model", "{tiny}", "--device", "abacus"], "no device is called"),
        (["train", "--out", "{tmp}/o", "--preset", "huge"], "no preset 'huge'"),
        (["train", "--out", "{tmp}/o", "--text", "{tmp}/none.txt"], "No such file"),
        (["train", "--out", "{tmp}/o", "--steps", "0"], "steps=0"),
    ],
)
def test_a_command_that_cannot_work_says_why_in_one_sentence(
    tmp_path, tiny_folder, capsys, arguments, message
):
    if arguments[0] == "train" and not (book_model_path() / "tokenizer.json").exists():
        pytest.skip("the book's tokenizer is not built yet: make model")
    filled = [a.format(tmp=tmp_path, tiny=tiny_folder) for a in arguments]
    assert cli.main(filled) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_help_lists_every_command_and_nonsense_is_refused():
    result = run_cli("--help")
    assert result.returncode == 0
    for command in ("train", "generate", "info", "grade"):
        assert command in result.stdout
    assert run_cli("nonsense").returncode == 2
