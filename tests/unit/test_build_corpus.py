"""The readers of the four sources, and the split, on small texts of the same form."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

import evaluate_baselines
from corpus import austen, bible, packages, shakespeare, split, wikipedia
from corpus.common import BuildError, Draft

PLAY = """THE TEST PLAY

by William Shakespeare




PERSONS.

A Clown.

SCENE: Anywhere.

ACT I.

SCENE I. A street.

[Enter Clown.]

CLOWN.
  I speak   in verse,
and this is worse.


SCENE II. Another street.

CLOWN.
The act is long.

ACT SECOND. SCENE I. The end.

CLOWN.
Farewell.
"""


def draft(text: str, title: str, source: str = "bible", group: str | None = None) -> Draft:
    return Draft(source, title, text, title if group is None else group)


def words(n: int, seed: int) -> str:
    """A text of n words that shares no 8-gram with another seed's."""
    generator = random.Random(seed)
    return " ".join(f"w{generator.randrange(10**9)}" for _ in range(n)) + "\n"


def test_a_play_is_cut_into_front_matter_and_scenes_of_one_group():
    scenes = list(shakespeare.split_work(PLAY))
    assert [s.title for s in scenes] == [
        "THE TEST PLAY",
        "THE TEST PLAY: Act I, Scene I",
        "THE TEST PLAY: Act I, Scene II",
        "THE TEST PLAY: Act II, Scene I",
    ]
    assert {s.group for s in scenes} == {"THE TEST PLAY"}
    assert scenes[0].text.startswith("THE TEST PLAY\n\nPERSONS.")
    assert scenes[1].text.startswith("ACT I.\n\nSCENE I. A street.\n\n[Enter Clown.]")
    assert "I speak in verse,\nand this is worse.\n" in scenes[1].text


def test_sonnets_are_numbered_by_their_place_and_each_is_its_own_group():
    text = "THE SONNETS\nby William Shakespeare\n\nI\n\nOne,\n  two.\n\nIX\n\nThree.\n"
    first, second = shakespeare.split_work(text)
    assert (first.title, second.title) == ("THE SONNETS: 1", "THE SONNETS: 2")
    assert first.text == "I\n\nOne,\ntwo.\n"
    assert first.group != second.group


def test_a_novel_is_cut_into_chapters_without_title_page_or_notes():
    lines = ["EMMA", "", "By Jane Austen", "VOLUME I", "", "CHAPTER I", "", "She was", "_so_ good."]
    lines += ["", "VOLUME II", "CHAPTER I", "Again.", "[End volume two", "FINIS"]
    chapters = list(austen.split_novel("Emma", lines))
    assert [(c.title, c.text) for c in chapters] == [
        ("Emma: Volume I, Chapter I", "Chapter I\n\nShe was so good.\n"),
        ("Emma: Volume II, Chapter I", "Chapter I\n\nAgain.\n"),
    ]


def test_prose_is_joined_and_indented_lines_stay_apart():
    lines = ["A line that", "goes on:", "", "    My first", "      my second", "", "* * *", "End."]
    assert austen.reflow(lines) == "A line that goes on:\n\nMy first\nmy second\n\nEnd.\n"


def test_verses_become_paragraphs_and_notes_disappear():
    osis = (
        '<div sID="g1" type="x-p"/><w lemma="strong:H1">In</w> the <w lemma="x">beginning</w>, '
        'God<note placement="foot"><reference>1:1 </reference>A note.</note><w>created</w>. '
        '<div eID="g1" type="x-p"/>\n<div sID="g2" type="x-p"/><q who="Jesus">“Go.”</q><w>Then</w> '
        'he went. <lg sID="g3"/> <l level="1" sID="g4"/>How<l eID="g4" level="1"/> '
        '<l level="2" sID="g5"/>many!<l eID="g5" level="2"/>'
        '<div sID="g6" type="glossary"/>A word: its meaning.'
    )
    assert bible.clean(osis) == (
        "In the beginning, God created.\n\n“Go.” Then he went.\n\nHow\nmany!\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A chair ( ) is  a seat\u2060 .", "A chair is a seat.\n"),
        ("Kyoto (, also \u200bKinkaku) , in\u00a0Japan", "Kyoto (also Kinkaku), in Japan\n"),
    ],
)
def test_leftovers_of_removed_markup_are_removed(before, after):
    assert wikipedia.clean(before) == after


def test_a_nearly_equal_document_is_dropped_and_reported():
    one = words(200, seed=1)
    copy = one.replace(one.split()[100], "other")
    kept, dropped = split.drop_duplicates(
        [draft(one, "a"), draft(words(50, 2), "b"), draft(copy, "c")]
    )
    assert [d.title for d in kept] == ["a", "b"]
    assert dropped == [("c", "a")]


def test_documents_that_share_a_passage_are_on_one_side():
    passage = words(40, seed=777)
    drafts = [
        draft(words(150, i) + passage * (i in (4, 6)) + words(150, 90 + i), str(i))
        for i in range(9)
    ]
    groups = split.group_overlapping(drafts)
    assert groups[4] == groups[6] == 4
    assert len(set(groups)) == len(drafts) - 1


def test_a_play_stays_together_whatever_its_scenes_share():
    drafts = [draft(words(50, i), f"s{i}", "shakespeare", group="play") for i in range(5)]
    assert split.group_overlapping(drafts) == [0] * 5


def test_the_held_out_part_is_chosen_by_hash_until_it_is_large_enough():
    drafts = [draft("x" * 9_999 + "\n", f"chapter {i}") for i in range(500)]  # 5 MB
    held = split.choose_heldout(drafts, list(range(500)))
    order = sorted(
        range(500), key=lambda i: hashlib.sha256(f"bible\nchapter {i}".encode()).hexdigest()
    )
    assert sorted(np.flatnonzero(held)) == sorted(order[:25])  # 5 % of 5 MB


def test_a_cluster_too_large_for_the_held_out_part_stays_in_training():
    drafts = [draft("x" * 9_999 + "\n", f"chapter {i}") for i in range(500)]
    groups = [0] * 100 + list(range(100, 500))
    assert not any(split.choose_heldout(drafts, groups)[:100])


def test_the_report_of_overlap_counts_shared_word_ngrams():
    shared = words(10, seed=1)
    drafts = [draft(shared + words(90, 2), "t"), draft(shared + words(90, 3), "h")]
    seen = split.seen_in_training(drafts, [False, True], 8)
    assert seen == {"bible": pytest.approx(3 / 93)}  # 3 of the 93 8-grams of 100 words


def test_a_package_that_changed_is_refused(tmp_path):
    package = packages.PACKAGES[0]
    (tmp_path / package.file).write_bytes(b"something else")
    with pytest.raises(BuildError, match=r"has SHA-256 .*, expected .*: delete the file"):
        packages.fetch(package, tmp_path)


def test_a_size_under_xz_grows_less_for_text_that_was_seen():
    text = words(2000, seed=1).encode()
    alone = evaluate_baselines.xz_size(text)
    again = evaluate_baselines.xz_size(text + text) - alone
    assert again < alone / 20
