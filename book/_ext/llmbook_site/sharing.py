"""A translated site ships no second copy of what is the same in every language.

It lies in a folder of the site, and its pages load styles, scripts, fonts and pictures from the
site's own `_static`, `_images` and `_sources`, one folder up. What differs stays: the search
engine's language, the components' words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from .languages import is_translation

SHARED = re.compile(r"((?:\.\./)*)(_static|_images|_sources)(?=/|$)")
OWN = re.compile(
    r"(?:\.\./)*_static/(?:documentation_options\.js|language_data\.js|translations\.js|llmbook/)"
)
IN_BODY = re.compile(r'(\b(?:src|href)=")([^":#]*)')


def lift(address: str) -> str:
    """The address of a resource one folder further up, where that is the one to use."""
    if OWN.match(address) or not SHARED.match(address):
        return address
    return f"../{address}"


def lift_all(html: str) -> str:
    """Lift every address of a resource in some HTML."""
    return IN_BODY.sub(lambda found: found[1] + lift(found[2]), html)


def lift_context(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let everything that a template asks for be lifted."""
    if not is_translation(app.config):
        return
    pathto, css_tag, js_tag = (context[name] for name in ("pathto", "css_tag", "js_tag"))

    def lifted(address: str, resource: bool = False, **more: Any) -> str:
        found: str = pathto(address, resource, **more)
        return lift(found) if resource else found

    context["pathto"] = lifted
    context["css_tag"] = lambda css: lift_all(css_tag(css))
    context["js_tag"] = lambda js: lift_all(js_tag(js))
    if "body" in context:
        context["body"] = lift_all(context["body"])


def share_folders(app: Sphinx) -> None:
    """Keep pictures, and what the notebooks' outputs become, in one place for all languages."""
    if not is_translation(app.config) or app.builder.format != "html":
        return
    app.builder.imagedir = "../_images"  # type: ignore[attr-defined]
    shared = Path(app.outdir).parent.parent / "jupyter_execute"
    config = app.env.mystnb_config  # type: ignore[attr-defined]
    app.env.mystnb_config = config.copy(output_folder=str(shared))  # type: ignore[attr-defined]


def give_away(app: Sphinx, error: Exception | None) -> None:
    """Move what is shared one folder up, over what is the same there already."""
    if error or not is_translation(app.config) or app.builder.format != "html":
        return
    here = Path(app.outdir)
    for path in sorted(here.rglob("*"), reverse=True):
        name = path.relative_to(here).as_posix()
        if not SHARED.match(name) or OWN.match(name):
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
            continue
        target = here.parent / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", share_folders, priority=900)  # after myst_nb
    app.connect("html-page-context", lift_context, priority=1)
    app.connect("build-finished", give_away, priority=990)
