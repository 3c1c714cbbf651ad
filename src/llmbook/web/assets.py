"""The scripts and styles of the components: inlined in a notebook, shared on the site.

The site's Sphinx extension needs ``component_names``, ``strip_inline``, ``write_static`` and
``page_scripts``; nothing else knows where the files lie.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from llmbook.language import ENGLISH, catalogue, language
from llmbook.web.labels import LABELS

Labels: TypeAlias = Mapping[str, Mapping[str, str]]
_FOLDER = files("llmbook.web")
CORE = ("core", "core_pictures")
SHARED_STYLES = {"error_museum": ("quiz",), "self_check": ("quiz",)}
_INLINE = re.compile(r"[ \t]*<script data-llmbook-inline(?:=\"\")?>.*?</script>\n?", re.DOTALL)
_NAME = re.compile(r'data-component="([a-z_]+)"')


def _read(relative: str) -> str:
    return _FOLDER.joinpath(relative).read_text(encoding="utf-8")


def _squeeze(code: str) -> str:
    """Drop indentation, blank lines and whole-line comments: small notebooks, no build step."""
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _squeeze_css(code: str) -> str:
    return re.sub(r"\s*\n\s*", "", re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL))


@cache
def names() -> tuple[str, ...]:
    """Every component that has a script, in alphabetical order."""
    found = (entry.name for entry in _FOLDER.joinpath("js").iterdir())
    return tuple(sorted(n.removesuffix(".js") for n in found if not n.startswith("core")))


@cache
def version() -> str:
    """A short hash of all scripts and styles: pages never mix two versions of the runtime."""
    scripts = (_read(f"js/{n}.js") for n in (*CORE, *names()))
    text = "".join([*scripts, *(_read(f"css/{n}.css") for n in ("core", *names()))])
    text += json.dumps(LABELS, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def core_script() -> str:
    """The shared runtime; it does nothing where the same version already runs."""
    code = "\n".join(_squeeze(_read(f"js/{n}.js")) for n in CORE)
    return code.replace("@VERSION@", version())


def labels_in(name: str | None = None) -> dict[str, dict[str, str]]:
    """The labels in a language, or in the chosen one: what ``write_static`` takes.

    In the catalogue a label's context is ``component.key``; one that has no translation stays
    English.

    Raises:
        ValueError: there is no such language.
    """
    messages = catalogue(name or language())
    return {
        component: {k: messages.pgettext(f"{component}.{k}", text) for k, text in words.items()}
        for component, words in LABELS.items()
    }


def component_script(name: str, labels: Labels = LABELS) -> str:
    """One component's code and the words that it shows."""
    words = json.dumps({name: labels[name]}, ensure_ascii=False, separators=(",", ":"))
    return f"llmbook.label({words});\n{_squeeze(_read(f'js/{name}.js'))}"


@cache
def inline_script(name: str, speech: str = ENGLISH) -> str:
    """Everything one output needs: runtime, styles, component with its labels, start."""
    styles = {
        n: _squeeze_css(_read(f"css/{n}.css")) for n in ("core", *SHARED_STYLES.get(name, ()), name)
    }
    script = "\n".join(
        [
            core_script(),
            f"llmbook.style({json.dumps(styles)});",
            component_script(name, labels_in(speech)),
            "llmbook.start();",
        ]
    )
    if "</script" in script or "<!--" in script:
        raise ValueError(f"js/{name}.js holds text that would end its script element")
    return script


def component_names(html: str) -> list[str]:
    """The components that a page or fragment holds, in order of appearance, each once."""
    return list(dict.fromkeys(_NAME.findall(html)))


def strip_inline(html: str) -> str:
    """The same HTML without the inlined scripts (their JSON and static pictures stay)."""
    return _INLINE.sub("", html)


def page_scripts(components: list[str]) -> list[str]:
    """File names that a page with these components loads, in order, with ``defer``."""
    unknown = [name for name in components if name not in names()]
    if unknown:
        raise ValueError(f"no such component: {unknown[0]!r}; there are {', '.join(names())}")
    return ["core.js", *(f"{name}.js" for name in components)] if components else []


def write_static(folder: str | Path, labels: Labels = LABELS) -> list[Path]:
    """Write ``core.js``, each component's script and ``llmbook.css`` into a folder.

    Args:
        labels: the words of each component; a translated site gives its own.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"core.js": core_script()}
    contents |= {f"{n}.js": component_script(n, labels) for n in names()}
    contents["llmbook.css"] = "\n".join(
        _squeeze_css(_read(f"css/{n}.css")) for n in ("core", *names())
    )
    written = []
    for file_name, text in contents.items():
        path = folder / file_name
        path.write_text(text + "\n", encoding="utf-8")
        written.append(path)
    return written
