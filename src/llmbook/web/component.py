"""One interactive component as a notebook output: markup, data, a static picture, a script.

The output must serve four readers. JupyterLab runs the inlined script. The static site strips
that script and loads a shared copy (see ``assets``). An untrusted notebook, a code host's preview
and paper run nothing, and show the static picture or table that the output holds.
"""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmbook.language import language, translate
from llmbook.web import assets


def check_json(value: object, path: str = "data") -> None:
    """Refuse everything but integers, strings, lists and dictionaries of them.

    nbval compares HTML outputs as text. An integer is printed alike on every machine; the last
    digits of a float are not.

    Raises:
        TypeError: at the first other value, with its path.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            check_json(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            check_json(item, f"{path}[{i}]")
    elif not isinstance(value, int | str):
        raise TypeError(f"{path} is {value!r}: component data hold integers and strings only")


def to_json(value: object) -> str:
    """Compact JSON that may stand inside a script element: no ``<`` is left in it."""
    check_json(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c")


@dataclass(frozen=True)
class Component:
    """An interactive picture that a notebook cell shows.

    Args:
        name: of the component; its script is ``js/NAME.js``.
        data: integers and strings that the script reads.
        static: HTML that stands alone where no script runs.
        summary: a few words for a terminal, and for ``repr``.
        caption: shown below the component, scripts or not.
        labels: words for this one component, in place of those of ``llmbook.web.labels``.
    """

    name: str
    data: dict[str, object]
    static: str
    summary: str
    caption: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_html(self, *, inline: bool = True) -> str:
        """The output's HTML; ``inline=False`` leaves the script to the page, as the site does."""
        own = f' data-labels="{html.escape(to_json(dict(self.labels)))}"' if self.labels else ""
        caption = f'<p class="llmbook-caption">{html.escape(translate(self.caption))}</p>'
        parts = [
            f'<div class="llmbook-component" data-component="{self.name}"{own}>',
            f'<script type="application/json">{to_json(self.data)}</script>',
            f'<div class="llmbook-static">{self.static}</div>',
            caption if self.caption else "",
            "</div>",
        ]
        if inline:
            script = assets.inline_script(self.name, language())
            parts.append(f"<script data-llmbook-inline>{script}</script>")
        return "\n".join(part for part in parts if part)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return f"<{self.name}: {self.summary}>"
