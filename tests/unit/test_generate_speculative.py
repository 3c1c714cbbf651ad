"""Speculative decoding: the large model's distribution, exactly; greedy text token by token."""

from __future__ import annotations

import importlib
import itertools

import pytest
import torch

from llmbook.config import GPTConfig
from llmbook.generate import Sampling, filtered, generate, speculate
from llmbook.models import GPT

speculative = importlib.import_module("llmbook.generate.speculative")

V = 3
CONFIG = GPTConfig(V, 7, 1, 1, 4)
PROMPT = torch.tensor([[2, 0]])


def strong(config, seed, std=0.8):
    torch.manual_seed(seed)
    model = GPT(config).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return model


class Path:
    """Makes every choice in turn: runs of the code are the paths of a tree of choices."""

    def __init__(self):
        self.prefix, self.taken, self.probability = [], [], 1.0

    def __call__(self, weights, generator):
        weights = weights / weights.sum()
        options = [i for i, w in enumerate(weights.tolist()) if w > 0]
        at = len(self.taken)
        if at == len(self.prefix):
            self.prefix.append(0)
        choice = options[self.prefix[at]]
        self.taken.append((self.prefix[at], len(options)))
        self.probability *= float(weights[choice])
        return choice

    def law(self, run):
        """Probability of every outcome of run(), over all paths."""
        law = {}
        while True:
            self.taken, self.probability = [], 1.0
            outcome = run()
            law[outcome] = law.get(outcome, 0.0) + self.probability
            while self.taken and self.taken[-1][0] + 1 == self.taken[-1][1]:
                self.taken.pop()
            if not self.taken:
                return law
            self.prefix = [choice for choice, _ in self.taken]
            self.prefix[-1] += 1


@torch.no_grad()
def law_of_the_target(model, sampling, n_new):
    law = {}
    for new in itertools.product(range(V), repeat=n_new):
        p, text = 1.0, PROMPT
        for token in new:
            window = text[:, -model.config.context_length :]
            p *= float(filtered(model(window)[:, -1], sampling, text).softmax(-1)[0, token])
            text = torch.cat([text, torch.tensor([[token]])], dim=1)
        if p > 0:
            law[new] = p
    return law


@pytest.mark.parametrize(
    ("n_draft", "settings"),
    [
        (1, {}),
        (2, {}),
        (3, {"temperature": 0.6}),
        (2, {"top_k": 2}),
        (2, {"top_p": 0.8}),
        (2, {"min_p": 0.3, "temperature": 1.4}),
        (2, {"repetition_penalty": 1.8}),
    ],
)
def test_every_text_has_exactly_the_probability_that_the_target_gives_it(
    monkeypatch, n_draft, settings
):
    target, draft = strong(CONFIG, 0), strong(CONFIG, 1)
    path = Path()
    monkeypatch.setattr(speculative, "_choose", path)

    def run():
        out = speculate(target, draft, PROMPT, max_new_tokens=3, n_draft=n_draft, **settings)
        return tuple(out.ids[0, 2:].tolist())

    law = path.law(run)
    expected = law_of_the_target(target, Sampling(**settings), 3)
    assert sum(law.values()) == pytest.approx(1, abs=1e-9)
    assert set(law) == set(expected)
    for text, probability in expected.items():
        assert law[text] == pytest.approx(probability, abs=1e-9)


def test_the_law_holds_while_the_text_outgrows_the_context(monkeypatch):
    config = CONFIG.replace(context_length=3)
    target, draft = strong(config, 2), strong(config.replace(context_length=4), 3)
    path = Path()
    monkeypatch.setattr(speculative, "_choose", path)

    def run():
        out = speculate(target, draft, PROMPT, max_new_tokens=3, n_draft=2)
        return tuple(out.ids[0, 2:].tolist())

    law, expected = path.law(run), law_of_the_target(target, Sampling(), 3)
    assert law == pytest.approx(expected, abs=1e-9)


def test_pairs_of_tokens_follow_the_target_s_law_in_a_sample():
    target, draft = strong(CONFIG, 0), strong(CONFIG, 1)
    expected = law_of_the_target(target, Sampling(), 2)
    n, counts = 1000, dict.fromkeys(expected, 0)
    for seed in range(n):
        out = speculate(target, draft, PROMPT, max_new_tokens=2, n_draft=2, seed=seed)
        counts[tuple(out.ids[0, 2:].tolist())] += 1
    statistic = sum((counts[k] - n * p) ** 2 / (n * p) for k, p in expected.items())
    assert statistic < 26.1  # chi-square with 8 degrees of freedom: once in a thousand


@pytest.mark.parametrize("changes", [{}, {"position": "learned"}, {"window": 3}, {"n_kv_head": 1}])
def test_greedy_speculation_writes_the_target_s_greedy_text_even_past_the_context(changes):
    config = GPTConfig(23, 13, 2, 2, 12).replace(**changes)
    target = strong(config, 0, 0.5)
    prompt = torch.tensor([[3, 1, 4]])
    for draft, n_draft in itertools.product((strong(config, 1, 0.5), target), (1, 4)):
        out = speculate(target, draft, prompt, max_new_tokens=19, n_draft=n_draft, temperature=0)
        expected = generate(target, prompt, max_new_tokens=19, temperature=0)
        assert out.ids.tolist() == expected.tolist()
        assert out.n_new == 19


@torch.no_grad()
def test_guesses_are_those_of_the_draft_for_the_text_as_it_stands():
    """Greedy, each guess can be checked: accepted where both models want the same token."""
    config = GPTConfig(5, 31, 1, 2, 12)
    target, draft = strong(config, 1, 0.4), strong(config, 1, 0.4)
    for parameter in draft.parameters():  # nearly the same model
        parameter += 0.15 * torch.randn_like(parameter)
    out = speculate(target, draft, PROMPT, max_new_tokens=25, n_draft=3, temperature=0)
    n_drafted = n_accepted = 0
    text, whole = PROMPT, out.ids
    while text.shape[1] < 27:
        guess = generate(
            draft, text, max_new_tokens=min(3, 26 - text.shape[1]), temperature=0, use_cache=False
        )
        n_guess = guess.shape[1] - text.shape[1]
        agree = (guess == whole[:, : guess.shape[1]])[0, text.shape[1] :].long().cumprod(0)
        n_drafted, n_accepted = n_drafted + n_guess, n_accepted + int(agree.sum())
        text = whole[:, : text.shape[1] + int(agree.sum()) + 1]
    assert (out.n_drafted, out.n_accepted) == (n_drafted, n_accepted)
    assert 0 < n_accepted < n_drafted


def test_a_draft_that_is_the_target_is_always_right():
    target = strong(GPTConfig(23, 31, 2, 2, 12), 0, 0.5)
    prompt = torch.tensor([[3, 1, 4]])
    out = speculate(target, target, prompt, max_new_tokens=20, n_draft=4, seed=0)
    assert (out.n_calls, out.n_drafted, out.n_accepted) == (4, 16, 16)
    assert out.acceptance_rate == 1
    assert out.tokens_per_call == 5


def test_a_seed_repeats_and_a_stop_id_ends_the_text():
    target, draft = (strong(GPTConfig(23, 31, 2, 2, 12), s, 0.3) for s in (0, 1))
    prompt = torch.tensor([[3, 1, 4]])
    texts = [
        speculate(target, draft, prompt, max_new_tokens=20, seed=s).ids.tolist() for s in (5, 5, 6)
    ]
    assert texts[0] == texts[1] != texts[2]
    stop_id = texts[0][0][9]
    out = speculate(target, draft, prompt, max_new_tokens=20, seed=5, stop_id=stop_id)
    end = texts[0][0].index(stop_id, 3) + 1
    assert out.ids.tolist() == [texts[0][0][:end]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            {"draft": strong(CONFIG.replace(vocab_size=5), 0)},
            "the draft has 5 tokens and the model",
        ),
        ({"ids": torch.zeros(1, 0, dtype=torch.long)}, "give one prompt"),
        ({"max_new_tokens": -1}, "max_new_tokens=-1"),
        ({"n_draft": 0}, "n_draft=0"),
        ({"top_k": 0}, "top_k=0"),
    ],
)
def test_what_cannot_be_guessed_at_is_refused(bad, message):
    model = strong(CONFIG, 0)
    arguments = {"draft": model, "ids": PROMPT, "max_new_tokens": 2, **bad}
    with pytest.raises(ValueError, match=message):
        speculate(model, arguments.pop("draft"), arguments.pop("ids"), **arguments)
