"""The chart player: CKY fills its table cell by cell, and the trees are drawn anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from llmbook.language import translate
from llmbook.web import svg
from llmbook.web.component import Component

Rules: TypeAlias = Mapping[tuple[str, ...], Fraction]
"""(left, right) for a word, (left, right, right) for two symbols → probability."""
LONGEST = 9
MOST_TREES = 60


def chart_player(
    grammars: Mapping[str, Rules],
    sentences: Sequence[tuple[str, str]],
    *,
    start: str = "S",
    knobs: Mapping[str, tuple[str, ...]] | None = None,
    caption: str = "",
) -> Component:
    """Step through CKY on a sentence; read every cell; turn one rule up and see the trees change.

    Args:
        grammars: by name, probabilistic grammars in Chomsky normal form.
        sentences: (name of the grammar, sentence with spaces between words), 2 to 9 words each.
        start: the symbol of a whole sentence.
        knobs: by grammar, the rule whose probability a slider changes; the other rules with the
            same left side share what is left in their old proportions.
        caption: a sentence below the component.
    Raises:
        ValueError: rules that do not sum to 1 or are not in normal form, a sentence that is too
            long, that has no parse, or more than 60.

    Taught in chapter 2.
    """
    for name, rules in grammars.items():
        check_grammar(name, rules)
    for name, sentence in sentences:
        words = sentence.split()
        if not 2 <= len(words) <= LONGEST:
            raise ValueError(f"{sentence!r} has {len(words)} words: 2 to {LONGEST} can be shown")
        if not 1 <= (n := len(parses(grammars[name], words, start))) <= MOST_TREES:
            raise ValueError(f"{sentence!r} has {n} parses: 1 to {MOST_TREES} can be shown")
    names, turned = list(grammars), dict(knobs or {})
    packed = [_pack(grammars[name], turned.get(name)) for name in names]
    data: dict[str, object] = {
        "grammars": packed,
        "sentences": [[names.index(name), sentence] for name, sentence in sentences],
        "start": start,
    }
    first, sentence = sentences[0]
    static = _static(grammars[first], sentence, start)
    return Component("chart_player", data, static, f"{len(sentences)} sentences", caption)


def check_grammar(name: str, rules: Rules) -> None:
    """Refuse rules that are not in normal form or whose probabilities do not sum to 1."""
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for rule, p in rules.items():
        if len(rule) not in (2, 3) or not 0 < p <= 1:
            raise ValueError(f"{name}: rule {rule} with probability {p} is not in normal form")
        sums[rule[0]] += p
    for left, total in sums.items():
        if total != 1:
            raise ValueError(f"{name}: the rules of {left} sum to {total}, not to 1")


def parses(rules: Rules, words: Sequence[str], start: str) -> list[tuple[Fraction, str]]:
    """Every parse as (probability, brackets), the most probable first."""
    spans: dict[tuple[int, int], dict[str, list[tuple[Fraction, str]]]] = {}
    for n in range(1, len(words) + 1):
        for i in range(len(words) - n + 1):
            cell: defaultdict[str, list[tuple[Fraction, str]]] = defaultdict(list)
            for rule, p in rules.items():
                if len(rule) == 2 and n == 1 and rule[1] == words[i]:
                    cell[rule[0]].append((p, f"({rule[0]} {words[i]})"))
                for k in range(i + 1, i + n) if len(rule) == 3 else ():
                    for p_left, left in spans[i, k].get(rule[1], []):
                        for p_right, right in spans[k, i + n].get(rule[2], []):
                            tree = f"({rule[0]} {left} {right})"
                            cell[rule[0]].append((p * p_left * p_right, tree))
            spans[i, i + n] = dict(cell)
    found = spans[0, len(words)].get(start, [])
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))


def _pack(rules: Rules, knob: tuple[str, ...] | None) -> dict[str, object]:
    if knob is not None and knob not in rules:
        raise ValueError(f"the rule {knob} of the slider is not in the grammar")
    rows = [[list(rule), p.numerator, p.denominator] for rule, p in rules.items()]
    return {"rules": rows, "knob": list(rules).index(knob) if knob else -1}


def _static(rules: Rules, sentence: str, start: str) -> str:
    found = parses(rules, sentence.split(), start)
    rows = [[str(i), str(p), tree] for i, (p, tree) in enumerate(found, 1)]
    total = sum(p for p, _ in found)
    here = "chart_player"
    title = translate("The parses of “{sentence}”; together they have probability {total}", here)
    head = [
        translate("parse", here),
        translate("probability", here),
        translate("tree, as brackets", here),
    ]
    return svg.table(title.format(sentence=sentence, total=total), head, rows)
