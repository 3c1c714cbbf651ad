"""A small site made of the book's own configuration, with what the book itself may not have yet.

It has a repository address, a notebook with a Jupyter widget, and a dropdown box.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from tests.site.pages import ROOT, links_of
from tests.site.visit import block_network

BUILD = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
REPOSITORY = "https://github.com/example-org/example-book"
PAGES = "https://example-org.github.io/example-book/"
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
WELCOME = """# A small book

This paragraph is long enough to become the description of the page.

```{admonition} Folded
:class: dropdown note
Inside the box: $a^2$.
```
"""


def slider(model: str) -> tuple[dict, dict]:
    """The state of a Jupyter slider, and the output that shows it."""

    def entry(name: str, package: str, **state: object) -> dict:
        version = {"model_module": package, "model_module_version": "2.0.0"}
        return version | {"model_name": name, "state": state}

    base, controls = "@jupyter-widgets/base", "@jupyter-widgets/controls"
    parts = {"layout": f"IPY_MODEL_{model}1", "style": f"IPY_MODEL_{model}2"}
    states = {
        f"{model}0": entry("IntSliderModel", controls, value=3, max=9, description="n", **parts),
        f"{model}1": entry("LayoutModel", base),
        f"{model}2": entry("SliderStyleModel", controls),
    }
    state = {"version_major": 2, "version_minor": 0, "state": states}
    view = {VIEW: {"model_id": f"{model}0", "version_major": 2, "version_minor": 0}}
    return {STATE: state}, view | {"text/plain": "IntSlider(value=3, max=9)"}


def question(number: int) -> str:
    """The output of a quiz, with its script inlined as a notebook holds it."""
    from llmbook import web

    one = {"text": f"Question {number}?", "choices": ["yes", "no"], "answer": 0, "why": ["a", "b"]}
    return web.quiz([one]).to_html()


def chapter() -> nbformat.NotebookNode:
    """A chapter with a slider and the same interactive component twice."""
    state, view = slider("abc")
    outputs = [view, {"text/html": question(1)}, {"text/html": question(2)}]
    cells = [nbformat.v4.new_markdown_cell("# Words\n\nA chapter with a slider.", id="a")]
    for number, data in enumerate(outputs):
        output = nbformat.v4.new_output("display_data", data=data)
        cells.append(nbformat.v4.new_code_cell("show()", id=f"c{number}", outputs=[output]))
    kernel = {"name": "python3", "display_name": "Python 3"}
    language = {"name": "python", "pygments_lexer": "ipython3"}
    metadata = {"kernelspec": kernel, "language_info": language, "widgets": state}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def configuration() -> dict:
    """The book's configuration with an address set and its own folders named in full."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = REPOSITORY
    config["logo"] = str(ROOT / config["logo"])
    config["html"]["favicon"] = str(ROOT / config["html"]["favicon"])
    config["bibtex_bibfiles"] = []
    sphinx = config["sphinx"]
    sphinx["local_extensions"] = {
        name: str(ROOT / folder) for name, folder in sphinx["local_extensions"].items()
    }
    for key in ("html_static_path", "templates_path"):
        sphinx["config"][key] = [str(ROOT / folder) for folder in sphinx["config"][key]]
    sphinx["config"]["extensions"].remove("sphinxcontrib.bibtex")
    del config["bibtex_bibfiles"]
    for key in ("bibtex_default_style", "bibtex_reference_style"):
        sphinx["config"].pop(key)
    return config


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """The folder of the small built site."""
    source = tmp_path_factory.mktemp("book")
    (source / "notebooks").mkdir()
    (source / "welcome.md").write_text(WELCOME, encoding="utf-8")
    nbformat.write(chapter(), source / "notebooks" / "03_words.ipynb")
    toc = {"format": "jb-book", "root": "welcome", "chapters": [{"file": "notebooks/03_words"}]}
    (source / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (source / "_config.yml").write_text(yaml.safe_dump(configuration()), encoding="utf-8")
    command = [sys.executable, "-c", BUILD, "build", str(source), "-W", "--keep-going"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return source / "_build" / "html"


def test_launch_buttons_open_the_repository_and_the_colab_copy(small):
    links = links_of(small / "notebooks" / "03_words.html").linked
    binder = "https://mybinder.org/v2/gh/example-org/example-book/main"
    assert f"{binder}?urlpath=lab/tree/notebooks/03_words.ipynb" in links
    colab = "https://colab.research.google.com/github/example-org/example-book"
    assert f"{colab}/blob/colab/03_words.ipynb" in links
    assert REPOSITORY in links


def test_the_sitemap_lists_every_page(small):
    text = (small / "sitemap.xml").read_text(encoding="utf-8")
    assert f"<loc>{PAGES}welcome.html</loc>" in text
    assert f"<loc>{PAGES}notebooks/03_words.html</loc>" in text


def test_the_sitemap_and_the_pages_name_both_languages_absolutely(small):
    text = (small / "sitemap.xml").read_text(encoding="utf-8")
    assert f"<loc>{PAGES}zh_CN/notebooks/03_words.html</loc>" in text
    both = {"en": f"{PAGES}welcome.html", "zh-CN": f"{PAGES}zh_CN/welcome.html"}
    page = (small / "welcome.html").read_text(encoding="utf-8")
    for tag, address in both.items():
        assert f'<xhtml:link rel="alternate" hreflang="{tag}" href="{address}"/>' in text
        assert f'<link rel="alternate" hreflang="{tag}" href="{address}" />' in page
    assert 'property="og:locale" content="en_US"' in page
    assert 'property="og:locale:alternate" content="zh_CN"' in page
    assert f'rel="canonical" href="{PAGES}welcome.html"' in page


def test_link_previews_have_a_description_and_an_absolute_picture(small):
    page = (small / "welcome.html").read_text(encoding="utf-8")
    assert 'content="This paragraph is long enough to become the description of the page."' in page
    assert f'property="og:image" content="{PAGES}_static/card.png"' in page
    assert (small / "_static" / "card.png").exists()


def test_a_chapter_carries_its_number(small):
    page = (small / "notebooks" / "03_words.html").read_text(encoding="utf-8")
    assert '<p class="book-eyebrow">Chapter 3</p>' in page


def test_a_dropdown_is_a_native_fold(small):
    page = (small / "welcome.html").read_text(encoding="utf-8")
    assert "<details" in page
    assert ">Folded</summary>" in page


def test_a_component_is_loaded_once_and_its_inlined_script_is_gone(small):
    page = (small / "notebooks" / "03_words.html").read_text(encoding="utf-8")
    assert "data-llmbook-inline" not in page
    assert page.count('data-component="quiz"') == 2
    for script in ("core.js", "quiz.js"):
        assert page.count(f"_static/llmbook/{script}") == 1
        assert (small / "_static" / "llmbook" / script).exists()


def test_a_widget_is_drawn_from_the_vendored_manager(browser, serve, small):
    base = serve(small)
    page = browser.new_page()
    leaks = block_network(page, base)
    page.goto(f"{base}notebooks/03_words.html")
    page.wait_for_selector(".widget-slider, .jupyter-widgets")
    assert "embed-amd.js" in page.content()
    assert leaks == []
    assert page.locator(".llmbook-component.llmbook-live").count() == 2
    page.close()
