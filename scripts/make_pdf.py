"""Print the built site with Chromium, page by page, into one _build/pdf/llmbook.pdf.

    python scripts/make_pdf.py          # English
    python scripts/make_pdf.py zh_CN    # Chinese, into _build/pdf/llmbook-zh_CN.pdf

Pages stand in the order of _toc.yml, with bookmarks; a link from page to page leads inside
the document.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, TextStringObject
from tqdm import tqdm

from browser import ADVICE, ARGUMENTS, find_browser
from contents import read_contents
from sphinx_book import LANGUAGES, SOURCE_LANGUAGE, output

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "pdf"
PAGE_TIMEOUT = 120  # seconds
# Time for the formulas to be set, in the browser's own clock (milliseconds).
SETTLE = 15_000


def print_page(browser: str, page: Path, out: Path, profile: Path) -> None:
    """Print one HTML page; stop with a sentence where Chromium makes nothing."""
    command = [browser, *ARGUMENTS, f"--user-data-dir={profile}", "--no-pdf-header-footer"]
    command += [f"--virtual-time-budget={SETTLE}", f"--print-to-pdf={out}", page.as_uri()]
    result = subprocess.run(command, capture_output=True, timeout=PAGE_TIMEOUT, check=False)
    if not out.exists():
        tail = result.stderr.decode(errors="replace")[-500:]
        sys.exit(f"Chromium did not print {page.name}.\n{tail}")


def title_of(page: Path) -> str:
    """Return a page's title without the name of the book."""
    text = page.read_text(encoding="utf-8")
    full = text.split("<title>", 1)[1].split("</title>", 1)[0]
    return html.unescape(full).split(" — ")[0].strip()


def lead_inside(writer: PdfWriter, starts: dict[str, int]) -> int:
    """Point links between pages of the site at pages of the document; return how many."""
    changed = 0
    for page in writer.pages:
        for reference in page.get("/Annots") or []:
            annotation = reference.get_object()
            address = str(annotation.get("/A", {}).get("/URI", "")).split("#")[0]
            if address not in starts:
                continue
            target = writer.pages[starts[address]].indirect_reference
            destination = ArrayObject([target, NameObject("/Fit")])
            action = {NameObject("/S"): NameObject("/GoTo"), NameObject("/D"): destination}
            annotation[NameObject("/A")] = DictionaryObject(action)
            changed += 1
    return changed


def out_path(language: str) -> Path:
    """The document of a language."""
    suffix = "" if language == SOURCE_LANGUAGE else f"-{language}"
    return FOLDER / f"llmbook{suffix}.pdf"


def words_of_contents(welcome: Path) -> dict[str, str]:
    """The parts' names as the site's language has them: English -> as shown in its contents."""
    caption = r'role="heading"><span class="caption-text">([^<]+)</span>'
    shown = re.findall(caption, welcome.read_text("utf-8"))
    parts = list(dict.fromkeys(part for part, _ in read_contents() if part))
    return dict(zip(parts, map(html.unescape, dict.fromkeys(shown)), strict=True))


def merge(printed: list[tuple[str, Path, Path]], out: Path) -> int:
    """Join (part, HTML page, PDF) triples with bookmarks; return the number of pages."""
    writer = PdfWriter()
    starts: dict[str, int] = {}
    parent = None
    last_part = ""
    for part, page, pdf in printed:
        start = len(writer.pages)
        writer.append(PdfReader(pdf), import_outline=False)
        starts[page.as_uri()] = start
        if part != last_part:
            parent = writer.add_outline_item(title=part, page_number=start) if part else None
            last_part = part
        writer.add_outline_item(title=title_of(page), page_number=start, parent=parent)
    lead_inside(writer, starts)
    writer.add_metadata({"/Title": TextStringObject(title_of(printed[0][1]))})
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        writer.write(file)
    return len(writer.pages)


def main() -> int:
    """Print every page of the contents in one language and merge."""
    language = sys.argv[1] if len(sys.argv) > 1 else SOURCE_LANGUAGE
    if language not in LANGUAGES:
        sys.exit(f"The book has no language {language}. There are: {', '.join(LANGUAGES)}")
    site, out = output("html", language), out_path(language)
    browser = find_browser()
    if browser is None:
        sys.exit(ADVICE)
    with tempfile.TemporaryDirectory() as folder:
        printed: list[tuple[str, Path, Path]] = []
        words = words_of_contents(site / f"{read_contents()[0][1]}.html")
        for part, name in tqdm(read_contents(), unit="page", desc="Printing", disable=None):
            page = site / f"{name}.html"
            pdf = Path(folder) / f"{len(printed):03d}.pdf"
            print_page(browser, page, pdf, Path(folder) / "profile")
            printed.append((words.get(part, part), page, pdf))
        count = merge(printed, out)
    print(f"{out.relative_to(ROOT)}: {count} pages, {out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
