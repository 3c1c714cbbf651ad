"""Interactive components: scripts inlined for JupyterLab become files that the pages share.

A component's output holds its data, a static picture, and an inlined script. On the site the
inlined script is dropped; the runtime and the components of a page are loaded from
`_static/llmbook/`, once per page and only where used. `llmbook.web.assets` knows the files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from llmbook.exercises.render import close_hints
from llmbook.web import assets

from .languages import is_translation
from .outputs import dependencies, in_language

FOLDER = "llmbook"  # below _static
USED = "llmbook_components"  # key of a page's metadata: names separated by spaces


def share_scripts(app: Sphinx) -> None:
    """Publish the package's scripts and styles below _static/llmbook/, in the site's language."""
    if app.builder.format == "html":
        labels = assets.labels_in(app.config.language)
        assets.write_static(Path(app.outdir) / "_static" / FOLDER, labels)


def strip_inlined(app: Sphinx, doctree: nodes.document) -> None:
    """Drop inlined code, note which components are used, fold hints that no one asked for yet."""
    used: list[str] = []
    for raw in doctree.findall(nodes.raw):
        if "html" in raw.get("format", ""):
            text = raw.astext()
            used += assets.component_names(text)
            raw[:] = [nodes.Text(close_hints(assets.strip_inline(text)))]
    app.env.metadata[app.env.docname][USED] = " ".join(dict.fromkeys(used))


def load_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the runtime and the components of this page, each once."""
    used = app.env.metadata.get(page, {}).get(USED, "").split()
    if not used:
        return
    app.add_css_file(f"{FOLDER}/llmbook.css")
    for name in assets.page_scripts(used):
        app.add_js_file(f"{FOLDER}/{name}", loading_method="defer")


def component_output(notebook: dict[str, Any], name: str) -> str | None:
    """The HTML of the first output of a notebook that holds this component."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            if name in assets.component_names(html):
                return html
    return None


class FromChapter(SphinxDirective):
    """Show a chapter's interactive component on another page, from the chapter's own output.

    ```{from-chapter} notebooks/01_first_generation.ipynb step_generator
    ```
    """

    required_arguments = 2
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        path, name = self.arguments
        self.env.note_dependency(path)
        notebook = json.loads((Path(self.env.srcdir) / path).read_text(encoding="utf-8"))
        if is_translation(self.config):
            notebook = in_language(notebook, self.config.language, Path(path).stem)
            for source in dependencies(self.config.language, Path(path).stem):
                self.env.note_dependency(str(source))
        html = component_output(notebook, name)
        if html is None:
            raise self.error(f"{path} has no output with the component {name}")
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> None:
    app.add_directive("from-chapter", FromChapter)
    app.connect("builder-inited", share_scripts)
    app.connect("doctree-read", strip_inlined)
    app.connect("html-page-context", load_scripts)
