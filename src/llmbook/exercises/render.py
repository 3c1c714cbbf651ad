"""Hints and solutions as a page shows them: folded text that needs no script and no colour."""

from __future__ import annotations

import html
import re
import sys
from dataclasses import dataclass

from llmbook.exercises.core import Exercise
from llmbook.exercises.stubs import solution_source
from llmbook.language import say, translate

# JupyterLab's own code colours; on the site these names are unknown there and the site's
# stylesheet, which is more specific, colours the same classes.
_STYLE = "".join(
    f":where(.llmbook-solution) .{token}{{color:var(--jp-mirror-editor-{name}-color)}}"
    for tokens, name in (
        ("k kn kc ow", "keyword"),
        ("c1", "comment"),
        ("s1 s2 sd sa si", "string"),
        ("mi mf", "number"),
        ("nf nc", "def"),
        ("nb bp", "builtin"),
    )
    for token in tokens.split()
)


@dataclass(frozen=True)
class Folded:
    """HTML for a page, with a text for a terminal."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show(folded: Folded) -> None:
    """Display in a notebook, print elsewhere."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import display

        display(folded)
    else:
        print(folded)


def inline(text: str) -> str:
    """Escaped HTML of one paragraph; `code`, **bold** and *italic* are understood."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"<code>{html.escape(part[1:-1])}</code>" if part.startswith("`") else _emphasis(part)
        for part in parts
        if part
    )


def _emphasis(text: str) -> str:
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text))
    return re.sub(r"(?<!\w)\*(\S[^*]*)\*(?!\w)", r"<em>\1</em>", text)


def hints(exercise: Exercise, level: int) -> Folded:
    """Every hint, one folded inside the other, the first ``level`` of them open.

    After the nudges come the mistakes most often made. The site folds them all
    (see ``close_hints``).
    """
    hint = translate("Hint {i} of {n}")
    levels = [
        (hint.format(i=i, n=len(exercise.nudges)), [translate(nudge)])
        for i, nudge in enumerate(exercise.nudges, start=1)
    ]
    mistakes = [translate(m.hint) for m in exercise.misconceptions]
    levels.append((translate("Common mistakes"), mistakes))
    shown = f"<code>show_solution(&quot;{exercise.id}&quot;)</code>"
    inner = f"<p>{say('The solution: {call}', call=shown)}</p>"
    for depth, (summary, texts) in reversed(list(enumerate(levels))):
        opened = " open" if depth < level else ""
        body = f"<p>{inline(texts[0])}</p>"
        if len(texts) > 1:
            body = "<ul>" + "".join(f"<li>{inline(text)}</li>" for text in texts) + "</ul>"
        inner = (
            f'<details class="llmbook-hint"{opened}><summary>{summary}</summary>'
            f"{body}{inner}</details>"
        )
    return Folded(inner, _hints_text(exercise, levels, level))


def _hints_text(exercise: Exercise, levels: list[tuple[str, list[str]]], level: int) -> str:
    line = translate("{summary}: {texts}")
    lines = [
        line.format(summary=summary, texts=" ".join(texts)) for summary, texts in levels[:level]
    ]
    if level < len(levels):
        lines.append(say('More: hint("{id}") again.', id=exercise.id))
    else:
        call = f'show_solution("{exercise.id}")'
        lines.append(say("The solution: {call}", call=call))
    return "\n".join(lines)


def close_hints(page: str) -> str:
    """A page's HTML with every hint folded, for the site, where no one has asked for one yet."""
    return page.replace('<details class="llmbook-hint" open>', '<details class="llmbook-hint">')


def solution(exercise: Exercise) -> Folded:
    """The solution's source, folded, highlighted by the page's own colours."""
    source = solution_source(exercise)
    words = translate(exercise.remark)
    remark = f"<p>{inline(words)}</p>" if words else ""
    label = html.escape(say("Solution of {id}", id=exercise.id))
    page = (
        f'<details class="llmbook-solution"><summary>{label}</summary>'
        f'<div class="highlight"><pre tabindex="0" role="group" aria-label="{label}">'
        f"<code>{_highlight(source)}</code></pre></div>{remark}<style>{_STYLE}</style></details>"
    )
    text = f"{source}\n\n{words}" if words else source
    return Folded(page, text)


def _highlight(source: str) -> str:
    """Spans with Pygments' class names; plain escaped text where Pygments is absent."""
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
    except ImportError:
        return html.escape(source)
    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)).rstrip("\n")
