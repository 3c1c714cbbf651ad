"""Tests with real weights: where the packages are absent they are skipped, and in CI they fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmbook.weights.packages import package_folder


def require_package(module: str) -> Path:
    """The folder of a data package. Without it the test is skipped, with the sentence to run.

    With CI=true it fails: nobody would read the skip.
    """
    try:
        return package_folder(module)
    except FileNotFoundError as absent:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"In CI a test with real weights may not be skipped: {absent}")
        pytest.skip(str(absent))
