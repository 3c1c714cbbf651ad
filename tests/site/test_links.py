"""The addresses in the built pages: none loads from elsewhere, none inside leads nowhere."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import yaml
from tests.site.pages import PAGES, ROOT, Links, links_of

VENDOR = ROOT / "book" / "_static" / "vendor"


@functools.cache
def parsed(path: Path) -> Links:
    """The links of a built page, parsed once."""
    return links_of(path)


def built_pages(html: Path) -> list[Path]:
    """Every page of the site, those of vendored packages left out."""
    return [p for p in sorted(html.rglob("*.html")) if "_static" not in p.relative_to(html).parts]


def resolves(html: Path, page: Path, address: str) -> bool:
    """Whether an address inside the site leads to a file, and to an anchor in it."""
    file, anchor = urldefrag(address)
    file = unquote(urlsplit(file).path)
    target = (page.parent / file).resolve() if file else page
    if not target.is_relative_to(html.resolve()) or not target.exists():
        return False
    has_anchors = anchor and target.suffix == ".html"
    return not has_anchors or unquote(anchor) in parsed(target).anchors


def dead(html: Path, page: Path) -> list[str]:
    """The links of a page to files or anchors of the site that do not exist."""
    addresses = parsed(page).linked + parsed(page).loaded
    inside = [address for address in addresses if not urlsplit(address).scheme]
    return [address for address in inside if not resolves(html, page, address)]


def test_every_page_of_the_contents_was_built(html):
    assert [path for path in PAGES if not (html / path).exists()] == []


def test_links_and_anchors_inside_the_site_resolve(html):
    broken = {p.relative_to(html).as_posix(): dead(html, p) for p in built_pages(html)}
    assert {page: links for page, links in broken.items() if links} == {}


def test_no_page_loads_anything_from_another_host(html):
    outside = {
        page.name: [a for a in parsed(page).loaded if urlsplit(a).scheme not in ("", "data")]
        for page in built_pages(html)
    }
    assert {page: links for page, links in outside.items() if links} == {}


def test_style_sheets_load_nothing_from_another_host(html):
    sheets = [p for p in html.rglob("*.css") if "reveal" not in p.parts]
    assert sheets
    assert [p.name for p in sheets if "url(http" in p.read_text("utf-8").replace('"', "")] == []


@pytest.mark.parametrize("word", ["mybinder.org", "colab.research.google", "sitemap.xml"])
def test_without_a_repository_address_nothing_points_to_one(html, word):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    if config["repository"]["url"]:
        assert (html / "sitemap.xml").exists()
        return
    assert not (html / "sitemap.xml").exists()
    assert [p.name for p in built_pages(html) if word in p.read_text("utf-8")] == []


def test_vendored_files_are_those_recorded_with_version_and_licence():
    import vendor_site

    assert vendor_site.faults() == []
    for part in json.loads((VENDOR / "VENDOR.json").read_text(encoding="utf-8")):
        assert part["version"]
        assert part["licence"]
