"""The command ``generate``: filters, stop texts, patterns, schemas and beams."""

from __future__ import annotations

import json
import re

import pytest
import torch

from llmbook import cli
from llmbook.config import GPTConfig
from llmbook.models import GPT
from llmbook.tokenizers import BPETokenizer
from llmbook.weights import export_hf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = BPETokenizer.train("the cat sat on the mat, über alles 漢字 " * 20, vocab_size=300)
    torch.manual_seed(0)
    config = GPTConfig.preset("tiny", vocab_size=tokenizer.vocab_size, context_length=16)
    return export_hf(GPT(config), tokenizer, tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def written(folder, capsys):
    def run(*arguments, prompt="the cat", status=0):
        fixed = ["--model", str(folder), "--seed", "3", "--device", "cpu"]
        assert cli.main(["generate", prompt, *fixed, *arguments]) == status
        captured = capsys.readouterr()
        return captured.out if status == 0 else captured.err

    return run


def test_filters_change_what_is_drawn(written):
    plain = written("--max-new-tokens", "30")
    for option in (["--min-p", "0.9"], ["--top-p", "0.1"], ["--top-k", "2"]):
        assert written("--max-new-tokens", "30", *option) != plain
    greedy = ["--max-new-tokens", "30", "--temperature", "0"]
    assert written(*greedy, "--repetition-penalty", "9") != written(*greedy)
    assert "min_p=2" in written("--min-p", "2", status=2)


def test_text_ends_before_a_stop_text(written):
    plain = written("--max-new-tokens", "40").removesuffix("\n")
    stop = plain[len("the cat") + 5 : len("the cat") + 8]
    stopped = written("--max-new-tokens", "40", "--stop", "never", "--stop", stop)
    assert stopped == plain[: plain.index(stop, len("the cat"))] + "\n"


def test_a_pattern_is_kept(written):
    out = written("--regex", r" (sat|ran)\.( [a-z]{1,5}){2}", "--max-new-tokens", "30")
    assert re.fullmatch(r"the cat (sat|ran)\.( [a-z]{1,5}){2}\n", out)
    assert "the anchor ^" in written("--regex", "^a", status=2)


def test_a_schema_from_a_file_is_kept(written, tmp_path):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema), encoding="utf-8")
    out = written("--json-schema", str(path), "--max-new-tokens", "20")
    assert isinstance(json.loads(out.removeprefix("the cat"))["n"], int)
    assert "not both" in written("--json-schema", str(path), "--regex", "a", status=2)
    assert "No such file" in written("--json-schema", str(tmp_path / "none.json"), status=2)


def test_beams_search_without_chance(written):
    texts = {written("--beams", "3", "--max-new-tokens", "9", "--seed", s) for s in "12"}
    assert len(texts) == 1
    assert texts.pop().startswith("the cat")
    assert "--beams goes without" in written("--beams", "3", "--regex", "a", status=2)
