"""Small pages that hold every interactive component, as the site and as a notebook hold them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from llmbook import web
from llmbook.tokenizers import BPETokenizer, WordPieceTokenizer
from llmbook.web import Component, assets

TOKENS = "The| animal| did| not| cross| the| street| because| it| was| tired".split("|")
L, H, T = 2, 3, len(TOKENS)
KEYS = np.array([[1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [-0.8, -0.6]])
VALUES = np.array([12.0, 18.5, 25.0, -3.0])
CITIES = ["Paris", "Rome", "Cairo", "Oslo"]
V, K = 301, 20
LOGITS = np.random.default_rng(3).normal(size=V) * 2.5
STEPS = [
    {"tokens": [" place", " world"], "probs": [0.5, 0.2], "chosen": " place", "prob": 0.5},
    {"tokens": [" to", " in"], "probs": [0.4, 0.3], "chosen": " in", "prob": 0.3},
    {"tokens": [".", ","], "probs": [0.6, 0.1], "chosen": "!", "prob": 0.01},
]
RECORDED = (0, 50, 400, 3000)
QUESTIONS = [
    {
        "text": "What does `causal_mask` hide?",
        "choices": ["The past", "The future"],
        "answer": 1,
        "why": ["A model that saw no past could not predict.", "Nothing looks to its right."],
    },
    {
        "text": "What do the rows of the weights sum to?",
        "choices": ["1", "The number of keys", "√D"],
        "answer": 0,
        "why": ["They are distributions.", "That is the sum of all rows.", "That is the scale."],
    },
]


TYPED = "the unhappy theatre, the untied thread; " * 3
LETTERS = "abcdefghijklmnopqrstuvwxyz,;"


def weights() -> np.ndarray:
    """Attention weights (L, H, T, T) of random causal heads, some sharp and some flat."""
    scores = np.random.default_rng(4).normal(size=(L, H, T, T)) * np.arange(1, H + 1)[:, None, None]
    powers = np.exp(np.where(np.tril(np.ones((T, T))) > 0, scores, -np.inf))
    return powers / powers.sum(-1, keepdims=True)


def records() -> list[dict]:
    """Checkpoints whose attention sharpens and whose words drift apart."""
    rng = np.random.default_rng(5)
    flat = np.tril(np.ones((T, T))) / np.arange(1, T + 1)[:, None]
    corners, maps = rng.normal(size=(6, 2)), weights()[1, 2]
    shares = np.linspace(0, 1, len(RECORDED))
    return [
        {
            "step": step,
            "tokens_seen": step * 1024,
            "train_loss": 6 - 3 * float(share),
            "val_loss": 6 - 2.5 * float(share),
            "samples": [f" sample at step {step}", f" another at {step}"],
            "attention": (1 - share) * flat + share * maps,
            "embedding": 0.1 * rng.normal(size=(6, 2)) + share * corners,
        }
        for step, share in zip(RECORDED, shares, strict=True)
    ]


def passages() -> list[dict]:
    """Two texts to guess: the first player names the alphabet in order, the second is right."""
    alphabet = "abcdefghijklmnopqrstuvwxyz "
    texts = {"A proverb": " cat is away, the mice will play", "A greeting": " do you do? I am well"}
    made = []
    for title, hidden in texts.items():
        wanted = [c for c in hidden.lower() if c in alphabet]
        guesses = {
            "ngram": [alphabet] * len(wanted),
            "model": [c + alphabet.replace(c, "") for c in wanted],
        }
        bits = {"ngram": [4.75] * len(wanted), "model": [0.5] * len(wanted)}
        given = "When the" if title == "A proverb" else "How"
        made.append(
            {"title": title, "given": given, "hidden": hidden, "guesses": guesses, "bits": bits}
        )
    return made


def tokenizers() -> dict:
    """Three small vocabularies, one of each kind."""
    return {
        "BPE": BPETokenizer.train(TYPED, 300),
        "WordPiece": WordPieceTokenizer.train(TYPED, 120, score="gain"),
        "Unigram": {
            " the": -2.0,
            "the": -3.5,
            " ": -2.5,
            "un": -4.0,
            **dict.fromkeys(LETTERS, -6.0),
        },
    }


SECTIONS = [
    {"title": "Masks", "target": "masks", "minutes": 7},
    {"title": "Weights", "target": "not-on-this-page", "minutes": 11},
]
GRAPHS = [
    (
        "tanh(a·b + a)",
        [("a", 0.5), ("b", -3.0)],
        [("c", "mul", "a", "b"), ("d", "add", "c", "a"), ("L", "tanh", "d")],
    ),
    ("x·x·x", [("x", 2.0)], [("y", "mul", "x", "x"), ("L", "mul", "y", "x")]),
]
SURFACES = {
    "valley": {"hessian": [[5.0, 2.0], [2.0, 3.0]], "minimum": [1.0, -0.5], "least": 0.25},
    "bowl": {"hessian": [[2.0, 0.0], [0.0, 2.0]], "minimum": [0.5, 0.5], "least": 1.0},
}


def broken_run(level: float, answer: int, sample: str) -> dict:
    """An exhibit whose loss falls to a level, with three diagnoses."""
    loss = level + (4.4 - level) * np.exp(-np.arange(200) / 40)
    return {
        "loss": loss,
        "grad_norm": 0.1 + loss,
        "val_loss": [[0, 4.4], [100, level + 0.4], [200, level + 0.1]],
        "sample": sample,
        "choices": ["The mask is missing", "The rate is dead", "The targets are not shifted"],
        "answer": answer,
        "why": ["It sees the answer.", "Nothing moves.", "It copies its input."],
        "sign": f"The loss ends near {level}.",
        "test": "Change a `later` token.",
        "code": "mask = torch.ones(T, T)   # was: .tril()",
    }


MUSEUM = [broken_run(0.1, 0, "She wwww"), broken_run(4.3, 1, "xq~ Z"), broken_run(0.0, 2, "hhhh")]
SOUND = broken_run(1.9, 0, "She was not")


def stages() -> list[dict]:
    """A model of one block and two heads, with four tokens."""
    rng = np.random.default_rng(8)
    scores = np.where(np.tri(4, dtype=bool), rng.normal(size=(2, 4, 4)), -np.inf)
    stream, queries = rng.normal(size=(4, 12)), rng.normal(size=(2, 4, 6))
    best = [[(" cat", 0.6), (" dog", 0.25)]] * 4
    return [
        {
            "title": "Input",
            "tensors": [
                {"name": "ids", "axes": "T", "how": "As numbers.", "values": [5, 17, 300, 4095]},
                {"name": "embeddings", "axes": "T C", "how": "Looked up.", "values": stream},
            ],
        },
        {
            "title": "Block 0",
            "tensors": [
                {"name": "queries", "axes": "H T D", "how": "Projected.", "values": queries},
                {"name": "scores", "axes": "H T S", "how": "Query · key.", "values": scores},
                {"name": "stream", "axes": "T C", "how": "Added.", "values": 30 * stream},
            ],
        },
        {
            "title": "Output",
            "tensors": [
                {
                    "name": "probabilities",
                    "axes": "T V",
                    "how": "Softmax.",
                    "shape": [4, 9],
                    "top": best,
                },
            ],
        },
    ]


AMBIGUOUS = {
    ("S", "NP", "VP"): Fraction(1),
    ("NP", "she"): Fraction(1, 2),
    ("NP", "NP", "PP"): Fraction(1, 8),
    ("NP", "birds"): Fraction(1, 4),
    ("NP", "glasses"): Fraction(1, 8),
    ("VP", "V", "NP"): Fraction(3, 4),
    ("VP", "VP", "PP"): Fraction(1, 4),
    ("PP", "P", "NP"): Fraction(1),
    ("V", "sees"): Fraction(1),
    ("P", "with"): Fraction(1),
}
"""A grammar with two trees for *she sees birds with glasses*, one twice as probable."""


HEAD = [
    np.random.default_rng(seed).normal(size=(n, 3)).round(2) for seed, n in ((1, 5), (2, 7), (3, 7))
]
"""Queries (5, 3), keys and values (7, 3) of one head."""
SHAPES = [
    {"name": "small", "n_params": 124_439_808, "n_read": 123_653_376, "n_layer": 12}
    | {"d_model": 768, "n_kv_head": 12, "d_head": 64, "context_length": 1024},
    {"name": "large", "n_params": 70_553_706_496, "n_read": 69_503_033_344, "n_layer": 80}
    | {"d_model": 8192, "n_kv_head": 8, "d_head": 128, "context_length": 8192},
]
MACHINES = [
    {"name": "a laptop", "gb_per_s": 15.6, "gflops": 33, "source": "Measured."},
    {"name": "a card", "gb_per_s": 2039, "gflops": 312_000, "memory_gb": 80, "source": "Printed."},
]


def components() -> dict[str, Component]:
    """One of each, by name."""
    made = [
        web.chart_player(
            {"toy": AMBIGUOUS},
            [("toy", "she sees birds with glasses"), ("toy", "she sees birds")],
            knobs={"toy": ("NP", "NP", "PP")},
            caption="Two trees.",
        ),
        web.attention_explorer(TOKENS, weights(), layer=1, head=2, query=8, caption="Six heads."),
        web.softmax_dictionary(KEYS, VALUES, names=CITIES, unit="°C", sharpness=3),
        web.temperature_explorer(
            [
                web.next_token_context("The world is a beautiful", LOGITS, lambda i: f" t{i}", k=K),
                web.next_token_context("Once", LOGITS[::-1], lambda i: f" u{i}", k=K),
            ],
            seed=7,
        ),
        web.step_generator("The world is a beautiful", STEPS),
        web.time_machine(
            records(),
            prompts=["Once", "In the beginning"],
            sentence=TOKENS,
            words=[" king", " queen", " one", " two", " red", " blue"],
            groups=[0, 0, 1, 1, 2, 2],
            group_names=["rank", "numbers", "colours"],
        ),
        web.model_explorer(TOKENS[:4], stages(), stage=1, caption="A small model."),
        web.quiz(QUESTIONS),
        web.self_check(
            [q | {"section": s} for q, s in zip(QUESTIONS, SECTIONS, strict=True)],
            everybody={"title": "Summary", "target": "summary", "minutes": 3},
        ),
        web.descent_explorer(SURFACES, start=(-0.5, 1.0), rate=0.2, n_steps=30),
        web.graph_player(GRAPHS),
        web.shannon_game(passages(), players={"ngram": "10-gram", "model": "network"}),
        web.error_museum(MUSEUM, SOUND, caption="Three broken runs."),
        web.word_map(
            [f"w{i}" for i in range(11)],
            word_tables(),
            relations={"even to odd": [("w0", "w1"), ("w2", "w3")]},
            word="w2",
        ),
        web.tiling_player(*HEAD, tile=(2, 3), caption="Five queries, seven keys."),
        web.roofline_explorer(SHAPES, MACHINES, caption="Two of both."),
        web.tokenizer_playground("Then untie it.", tokenizers(), samples={"Chinese": "世界 the"}),
    ]
    return {component.name: component for component in made}


def word_tables() -> dict[str, np.ndarray]:
    """Eleven words in two models."""
    drawn = np.random.default_rng(8).normal(size=(2, 11, 5))
    return {"A": drawn[0], "B": drawn[1]}


def page(body: str, head: str = "") -> str:
    """A page with one main part, as wide as a column of the book."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Components</title>'
        '<link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">'
        f"{head}<style>body{{font-family:sans-serif;max-width:760px;margin:0 auto;padding:0 14px}}"
        "html[data-theme=dark] body{background:#121212;color:#eee}</style></head>"
        f'<body><main><h1>Components</h1>{body}<h2 id="masks">Masks</h2></main></body></html>'
    )


def write_pages(folder: Path) -> None:
    """NAME.html as on the site, for each component; notebook.html with inlined scripts."""
    assets.write_static(folder / "llmbook")
    made = components()
    for name, component in made.items():
        scripts = "".join(
            f'<script defer src="llmbook/{file}"></script>' for file in assets.page_scripts([name])
        )
        head = f'<link rel="stylesheet" href="llmbook/llmbook.css">{scripts}'
        (folder / f"{name}.html").write_text(page(component.to_html(inline=False), head), "utf-8")
    outputs = "".join(component.to_html() for component in made.values())
    (folder / "notebook.html").write_text(page(outputs + made["quiz"].to_html()), "utf-8")
