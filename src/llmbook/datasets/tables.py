"""The small tables behind the book's figures."""

from __future__ import annotations

import csv
from pathlib import Path

TABLE_FOLDER = Path(__file__).parent.parent / "assets" / "tables"


def load_table(name: str, *, folder: str | Path = TABLE_FOLDER) -> list[dict[str, str]]:
    """The rows of a shipped table, each a dict from column name to text (unit: see the table).

    Raises:
        ValueError: no table of that name (the message lists those there are), or a row that
            has more or fewer fields than the header.
    """
    names = sorted(path.stem for path in Path(folder).glob("*.csv"))
    if name not in names:
        raise ValueError(f"no table is called {name!r}: choose one of {', '.join(names) or 'none'}")
    path = Path(folder) / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for i, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"{path}, row {i}: its number of fields is not that of the header")
    return rows
