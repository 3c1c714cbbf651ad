"""Boxes that open and close without a script: `dropdown` admonitions, hints and solutions.

An admonition with the class `dropdown` becomes a native `<details>`, which the keyboard and a
screen reader know, which works without scripts, and which the print style sheet can open.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import admonitionlabels
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxTranslator


class fold(nodes.General, nodes.Element):
    """A box that is closed at first; its first child is the `fold_title`."""


class fold_title(nodes.General, nodes.TextElement):
    """What is shown of a closed box."""


def open_fold(translator: SphinxTranslator, node: fold) -> None:
    translator.body.append(translator.starttag(node, "details", CLASS="admonition"))


def close_fold(translator: SphinxTranslator, node: fold) -> None:
    translator.body.append("</details>\n")


def open_title(translator: SphinxTranslator, node: fold_title) -> None:
    translator.body.append(translator.starttag(node, "summary", "", CLASS="admonition-title"))


def close_title(translator: SphinxTranslator, node: fold_title) -> None:
    translator.body.append("</summary>\n")


class FoldDropdowns(SphinxPostTransform):
    """Replace dropdown admonitions, in HTML only."""

    default_priority = 200
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for box in list(self.document.findall(nodes.Admonition)):
            if "dropdown" not in box.get("classes", []):
                continue
            children = list(box.children)
            if children and isinstance(children[0], nodes.title):
                title, children = children[0].children, children[1:]
            else:
                title = [nodes.Text(admonitionlabels[type(box).__name__])]
            new = fold("", fold_title("", "", *title), *children)
            new["classes"] = [c for c in box["classes"] if c != "dropdown"]
            new["classes"].append(type(box).__name__)
            new["ids"] = box["ids"]
            box.replace_self(new)


def setup(app: Sphinx) -> None:
    app.add_node(fold, html=(open_fold, close_fold))
    app.add_node(fold_title, html=(open_title, close_title))
    app.add_post_transform(FoldDropdowns)
