"""Find a Chromium for the browser tests and the PDF: one on the machine, or Playwright's own.

python scripts/browser.py             # print its path, or say what to install
python scripts/browser.py --install   # besides, install Debian's package where root may
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
FIXED_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
# A fresh profile that asks the network for nothing of its own.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ADVICE = (
    "No Chromium was found. Install one (Debian: apt-get install chromium; elsewhere: "
    ".venv/bin/python -m playwright install chromium), or name it in LLMBOOK_CHROMIUM."
)


def find_browser() -> str | None:
    """Return the path of a Chromium, or None.

    Order: the one named in LLMBOOK_CHROMIUM, one on the machine, Playwright's own.
    """
    named = os.environ.get("LLMBOOK_CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    for place in FIXED_PLACES:
        if Path(place).exists():
            return place
    return _playwrights_own()


def _playwrights_own() -> str | None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def may_install() -> bool:
    """Say whether Debian's package can be installed without asking anybody."""
    is_root = platform.system() == "Linux" and os.geteuid() == 0
    return is_root and shutil.which("apt-get") is not None


def install_browser() -> str | None:
    """Install Debian's chromium where that is possible; return its path or None."""
    if not may_install():
        return None
    print("Installing chromium (Debian's package)", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
    ):
        result = subprocess.run(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if result.returncode:
            print(result.stderr.decode(errors="replace")[-500:], file=sys.stderr)
    return find_browser()


def main() -> int:
    """Print the browser's path; return 1 where there is none."""
    path = find_browser()
    if path is None and "--install" in sys.argv:
        path = install_browser()
    print(path or ADVICE, file=sys.stdout if path else sys.stderr)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
