"""Two languages: which there are, where each lies, and how a page leads to itself in the other.

The book is written in English; a translation is built into a folder of the site. Pages and the
anchors in them have the same names in every language.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.locale import _

SOURCE = "en"


@dataclass(frozen=True)
class Language:
    """A language of the book."""

    tag: str  # of the element <html>: BCP 47
    folder: str  # below the site of the source language, "" or with a slash at its end
    name: str  # in itself
    open_graph: str
    this_page: str  # what its switch says to a screen reader, in itself


LANGUAGES = {
    "en": Language("en", "", "English", "en_US", "this page in English"),
    "zh_CN": Language("zh-CN", "zh_CN/", "中文", "zh_CN", "本页的中文版"),
}


def is_translation(config: Config) -> bool:
    """Whether a site in another language than the source's is being built."""
    return config.language != SOURCE


def own(config: Config) -> Language:
    """The language that is being built."""
    return LANGUAGES.get(config.language, LANGUAGES[SOURCE])


def root_address(config: Config) -> str:
    """The address of the site in its source language, "" where none is known."""
    return config.html_baseurl.removesuffix(own(config).folder)


def translate_configuration(app: Sphinx, config: Config) -> None:
    """Put the words of `_config.yml` and `_toc.yml` into the language that is built."""
    if not is_translation(config):
        return
    options = config.html_theme_options
    for key in ("toc_title", "search_bar_text"):
        options[key] = _(options[key])
    config.numfig_format = {kind: _(words) for kind, words in config.numfig_format.items()}
    config.nb_code_prompt_show = _("Show the code")  # outputs are never folded
    config.nb_code_prompt_hide = _("Hide the code")
    config.html_title, config.author = _(config.html_title), _(config.author)
    for document in config.external_site_map.values():
        document.title = document.title and _(document.title)
        for tree in document.subtrees:
            tree.caption = tree.caption and _(tree.caption)


def set_address(app: Sphinx, config: Config) -> None:
    """A translation's address is a folder below the book's."""
    if config.html_baseurl:
        config.html_baseurl += own(config).folder


def alternatives(app: Sphinx, page: str, to_root: str) -> list[dict[str, str]]:
    """Where a page lies in every language: absolute where the site has an address."""
    base = root_address(app.config)
    return [
        {
            "code": code,
            "tag": language.tag,
            "name": language.name,
            "this_page": language.this_page,
            "open_graph": language.open_graph,
            "relative": f"{to_root}{language.folder}{page}.html",
            "absolute": f"{base or to_root}{language.folder}{page}.html",
        }
        for code, language in LANGUAGES.items()
    ]


def offer_languages(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give the templates the page's address in every language, and the scripts' words."""
    folder = own(app.config).folder
    to_root = "../" * (page.count("/") + folder.count("/"))
    if page in app.env.found_docs or page == "search":
        context["languages"] = alternatives(app, page, to_root)
    else:  # a page that this language has alone
        context["languages"] = alternatives(app, app.config.master_doc, to_root)
    context["language_code"] = app.config.language
    words = {
        "Table": _("Table"),
        "Formula": _("Formula"),
        "Code": _("Code"),
        "Output": _("Output"),
    }
    context["script_words"] = json.dumps(words, ensure_ascii=False)


def words_of_the_theme() -> list[str]:
    """What the theme's templates say and its own catalogue lacks; named here to be extracted."""
    return [_("Color mode"), _("System Settings")]


def setup(app: Sphinx) -> None:
    app.connect("config-inited", set_address, priority=410)  # after metadata
    app.connect("config-inited", translate_configuration, priority=960)  # after the contents
    app.connect("html-page-context", offer_languages)
