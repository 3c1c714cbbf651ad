"""Site address, link previews (Open Graph) and sitemap.

One address is set by the owner of a published copy: `repository.url` in `_config.yml`. The
address of the site follows from it, unless `html.baseurl` says otherwise. Without an address no
absolute link is written anywhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from .languages import LANGUAGES, alternatives, is_translation, own, root_address

CARD = "_static/card.png"  # drawn by scripts/draw_logo.py
MAX_DESCRIPTION = 200  # characters; link previews cut there


def pages_address(repository_url: str) -> str:
    """The GitHub Pages address of a repository, or "" for any other host."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", repository_url)
    if not found:
        return ""
    owner, name = found.groups()
    if name.lower() == f"{owner.lower()}.github.io":
        return f"https://{owner.lower()}.github.io/"
    return f"https://{owner.lower()}.github.io/{name}/"


def set_address(app: Sphinx, config: Config) -> None:
    """Derive the site's address from the repository's where it is not given."""
    url = config.html_theme_options.get("repository_url") or ""
    config.html_baseurl = config.html_baseurl or pages_address(url)
    if config.html_baseurl and not config.html_baseurl.endswith("/"):
        config.html_baseurl += "/"


def description(doctree: nodes.document) -> str:
    """The page's first plain paragraph, cut at a word boundary."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):
            continue
        text = " ".join(paragraph.astext().split())
        if len(text) < 40:  # a lone label such as "Time: 60 minutes"
            continue
        if len(text) > MAX_DESCRIPTION:
            text = text[:MAX_DESCRIPTION].rsplit(" ", 1)[0] + "…"
        return text
    return ""


def add_previews(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the Open Graph tags of one page."""
    if doctree is None:
        return
    title = app.env.titles[page].astext()
    tags = {
        "og:type": "article" if page.startswith("notebooks/") else "website",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": description(doctree),
        "og:locale": own(app.config).open_graph,
    }
    base = app.config.html_baseurl
    if base:
        tags |= {
            "og:url": f"{base}{page}.html",
            "og:image": f"{root_address(app.config)}{CARD}",
            "og:image:alt": app.config.html_title,
        }
    lines = [
        f"<meta property={quoteattr(name)} content={quoteattr(text)} />"
        for name, text in tags.items()
        if text
    ]
    if tags["og:description"]:
        lines.append(f'<meta name="description" content={quoteattr(tags["og:description"])} />')
    context["metatags"] = context.get("metatags", "") + "\n    " + "\n    ".join(lines)


def sitemap_entry(app: Sphinx, page: str, folder: str) -> str:
    """A page in one language, and where it lies in the others."""
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang={quoteattr(other["tag"])} '
        f"href={quoteattr(other['absolute'])}/>"
        for other in alternatives(app, page, "")
    )
    return f"<url><loc>{escape(app.config.html_baseurl + folder + page)}.html</loc>{links}</url>"


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """List every page in every language in sitemap.xml, where the site has an address."""
    base = app.config.html_baseurl
    if error or app.builder.format != "html" or is_translation(app.config):
        return
    path = Path(app.outdir) / "sitemap.xml"
    if not base:
        path.unlink(missing_ok=True)
        return
    urls = [
        sitemap_entry(app, page, language.folder)
        for language in LANGUAGES.values()
        for page in sorted(app.env.found_docs)
    ]
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        'xmlns:xhtml="http://www.w3.org/1999/xhtml">\n' + "\n".join(urls) + "\n</urlset>\n",
        encoding="utf-8",
    )


def setup(app: Sphinx) -> None:
    app.connect("config-inited", set_address, priority=400)
    app.connect("html-page-context", add_previews)
    app.connect("build-finished", write_sitemap)
