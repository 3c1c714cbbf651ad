"""What every test shares: shapes checked at run time, one thread, and strictness in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LLMBOOK_DEVICE", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "agg")

# The shape annotations of llmbook are checked in tests only, because each check costs time.
# The hook must stand before the first import of the package.
from jaxtyping import install_import_hook

install_import_hook("llmbook", "shape_checks.check")

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a browser test that was skipped has failed: nobody would read the skip."""
    outcome = yield
    report = outcome.get_result()
    in_site = (ROOT / "tests" / "site") in item.path.parents
    if IN_CI and in_site and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"A browser test may not be skipped in CI. {reason}"
