"""Link every term of the glossary to the place that defines it.

A chapter marks that place with the role {dfn}: {dfn}`token` or {dfn}`tokens <token>`. It is shown
in italics and leads to the glossary like {term}; the glossary's entry leads back to it.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import glossary
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.locale import _
from sphinx.roles import XRefRole
from sphinx.util.nodes import make_refnode

from .numbering import CHAPTER

FULL_WIDTH = ("。", "）", "！", "？")  # punctuation that brings its own space
Places = dict[str, tuple[str, str]]  # term in lower case -> (page, id of the target)


class Definition(XRefRole):
    """{dfn}`words <term>`: the place of the book that defines a term of the glossary."""

    def __init__(self) -> None:
        super().__init__(lowercase=True, innernodeclass=nodes.inline, warn_dangling=True)

    def create_xref_node(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.refdomain, self.reftype = "std", "term"
        links, messages = super().create_xref_node()
        term = " ".join(self.target.lower().split())
        place = nodes.emphasis("", "", *links, ids=[nodes.make_id(f"defined-{term}")])
        place["classes"].append("dfn")
        places_of(self.env)[term] = (self.env.docname, place["ids"][0])
        return [place], messages


def places_of(env: BuildEnvironment) -> Places:
    if not hasattr(env, "llmbook_definitions"):
        env.llmbook_definitions = {}  # type: ignore[attr-defined]
    places: Places = env.llmbook_definitions  # type: ignore[attr-defined]
    return places


def forget_page(app: Sphinx, env: BuildEnvironment, page: str) -> None:
    places = places_of(env)
    for term in [term for term, place in places.items() if place[0] == page]:
        del places[term]


def merge_places(app: Sphinx, env: BuildEnvironment, pages: Any, other: BuildEnvironment) -> None:
    places_of(env).update(places_of(other))


def pages_to_write(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Pages with a glossary are written again whenever anything changed."""
    return [page for page in env.found_docs if page.endswith("glossary")]


def link_entries(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add "Defined in chapter N" to each entry whose term has a place."""
    places = places_of(app.env)
    for table in doctree.findall(glossary):
        for entry in table.findall(nodes.definition_list_item):
            terms = [term.astext().lower() for term in entry.findall(nodes.term)]
            found = next((places[term] for term in terms if term in places), None)
            if found is None:
                continue
            chapter = CHAPTER.match(found[0])
            where = _("chapter {}").format(int(chapter[1])) if chapter else _("this book")
            link = make_refnode(app.builder, page, *found, nodes.Text(where))
            last = next(iter(entry.findall(nodes.definition)))[-1]
            before, after = _("Defined in {}.").split("{}")
            gap = "" if last.astext().endswith(FULL_WIDTH) else " "
            last += [nodes.Text(gap + before), link, nodes.Text(after)]


def setup(app: Sphinx) -> None:
    app.add_role("dfn", Definition(), override=True)
    app.connect("env-purge-doc", forget_page)
    app.connect("env-merge-info", merge_places)
    app.connect("env-updated", pages_to_write)
    app.connect("doctree-resolved", link_entries)
