"""Launch buttons: none without a repository address; Colab opens copies that install the package.

Binder builds the repository's environment.yml. Colab has no such step, so its button opens a
generated copy of the chapter whose first cell installs the package (`make colab`); the hosting
workflow pushes the copies to a branch of their own, since Colab reads from a repository only.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

COLAB_BRANCH = "colab"


def has_repository(config: Config) -> bool:
    """Whether the owner of this copy of the book has said where it lies."""
    return bool(config.html_theme_options.get("repository_url"))


def drop_buttons_without_address(app: Sphinx, config: Config) -> None:
    """No address, no launch buttons and no link to the source."""
    options = config.html_theme_options
    options["use_repository_button"] = has_repository(config)
    if not has_repository(config):
        options["launch_buttons"] = {}
        options.pop("repository_url", None)


def point_colab_at_copies(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let the Colab button open the generated copy."""
    branch = app.config.html_theme_options.get("repository_branch") or "main"
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                copies = button["url"].split(f"/blob/{branch}/")[0] + f"/blob/{COLAB_BRANCH}/"
                button["url"] = f"{copies}{page.split('/')[-1]}.ipynb"


def setup(app: Sphinx) -> None:
    app.connect("config-inited", drop_buttons_without_address)
    app.connect("html-page-context", point_colab_at_copies, priority=900)
