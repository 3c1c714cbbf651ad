"""One visit to a page with a real browser, and everything that the tests want to know of it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import axe_playwright_python

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
PATIENCE_MS = 120_000  # a page takes a second or two; a busy machine may take much longer
COMPRESSIBLE = ("text/", "javascript", "json", "svg", "xml")

SETTLED = """async () => {
  if (window.MathJax && MathJax.startup && MathJax.startup.promise) await MathJax.startup.promise;
  await document.fonts.ready;
}"""

MATHS = """() => {
  const article = document.querySelector("article") || document.body;
  const plain = article.cloneNode(true);
  plain.querySelectorAll("pre, code, script, style, mjx-container").forEach((e) => e.remove());
  return {
    written: article.querySelectorAll(".math").length,
    drawn: article.querySelectorAll(".math mjx-container").length,
    errors: [...document.querySelectorAll("mjx-merror")].map((e) => e.textContent),
    raw: (plain.textContent.match(/\\$\\$|\\\\\\(|\\\\\\[/g) || []).length,
  };
}"""


@dataclass
class Visit:
    """What was seen on one page."""

    path: str
    errors: list[str] = field(default_factory=list)  # of the console, and uncaught
    leaks: list[str] = field(default_factory=list)  # addresses asked for outside the site
    missing: list[str] = field(default_factory=list)  # own addresses that were not found
    sizes: dict[str, int] = field(default_factory=dict)  # bytes, compressed where servers do
    violations: list[str] = field(default_factory=list)  # of the accessibility rules
    maths: dict = field(default_factory=dict)

    @property
    def megabytes(self) -> float:
        """Data transferred for the page, in MB of 10⁶ bytes."""
        return sum(self.sizes.values()) / 1e6


def block_network(page, base: str) -> list[str]:
    """Abort every request that leaves `base`; return the list that notes them."""
    leaks: list[str] = []

    def decide(route) -> None:
        url = route.request.url
        if url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            leaks.append(url)
            route.abort()

    page.route("**/*", decide)
    page.on("websocket", lambda socket: leaks.append(socket.url))
    return leaks


def transferred(response) -> int:
    """The bytes of a response, compressed where a server compresses that type."""
    body = response.body()
    kind = response.headers.get("content-type", "")
    return len(gzip.compress(body, 6)) if any(k in kind for k in COMPRESSIBLE) else len(body)


def describe(violation: dict) -> str:
    """One accessibility violation in a line."""
    node = violation["nodes"][0]
    return f"{violation['impact']} {violation['id']}: {node['html'][:160]} at {node['target']}"


def axe_violations(page) -> list[str]:
    """Run axe-core with its default rules on the page as it stands.

    The drawn glyphs of a formula are left out: they are hidden from assistive technology, which
    reads the MathML beside them, and there are thousands in a chapter.
    """
    page.evaluate(AXE)
    found = page.evaluate("axe.run({exclude: ['mjx-math']}, {resultTypes: ['violations']})")
    return [describe(violation) for violation in found["violations"]]


def visit_page(browser, base: str, path: str, theme: str) -> Visit:
    """Open a page in a theme, wait until it is drawn, and note everything."""
    seen = Visit(path)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(
        f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    seen.leaks = block_network(page, base)
    responses: list = []  # Playwright cannot take a bound built-in method as a handler
    page.on("response", lambda response: responses.append(response))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda m: m.type == "error" and seen.errors.append(m.text))
    page.goto(base + path, wait_until="load")
    page.evaluate(SETTLED)
    for response in responses:
        if not response.url.startswith(base):
            continue
        if response.status >= 400:
            seen.missing.append(response.url.removeprefix(base))
        else:
            seen.sizes[response.url.removeprefix(base)] = transferred(response)
    seen.maths = page.evaluate(MATHS)
    seen.violations = axe_violations(page)
    context.close()
    return seen
