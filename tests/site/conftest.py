"""One server, one browser, one visit per page and theme, shared by all tests of the site.

The network is blocked: every request that is not for the server on the loopback address is
aborted and written down. Fixtures for a test that plays with a page: `open_page`, `site_url`.
"""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.site.pages import HTML, ROOT
from tests.site.visit import PATIENCE_MS, Visit, block_network, visit_page

from browser import ADVICE, ARGUMENTS, find_browser


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line per request."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".woff": "font/woff"}

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder on a free loopback port; return its address, which ends in a slash."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(folder: Path) -> str:
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built site; it is built first where there is none."""
    if not (HTML / "index.html").exists():
        subprocess.run([sys.executable, "scripts/build_site.py"], cwd=ROOT, check=True)
    return HTML


@pytest.fixture(scope="session")
def site_url(html, serve) -> str:
    """The address of the built site, which ends in a slash."""
    return serve(html)


@pytest.fixture(scope="session")
def browser():
    """A Chromium with a fresh profile."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    path = find_browser()
    if path is None:
        pytest.skip(ADVICE)
    with playwright_api.sync_playwright() as playwright:
        arguments = [*ARGUMENTS, "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(
            executable_path=path, args=arguments, env=dict(os.environ)
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, site_url):
    """Open a page of the site: open_page("book/glossary.html", theme="dark", width=390)."""
    contexts = []

    def open_(path: str, *, theme: str = "light", width: int = 1280, base: str = site_url):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.leaks = block_network(page, base)
        page.add_init_script(
            f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
        )
        page.goto(base + path, wait_until="load")
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def visit(browser, site_url) -> Callable[[str, str], Visit]:
    """What was seen on a page in a theme; each is visited once per session."""
    return functools.cache(lambda path, theme: visit_page(browser, site_url, path, theme))
