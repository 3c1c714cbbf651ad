"""Execute the chapters in place, two at a time, and measure each.

    python scripts/run_notebooks.py             # every chapter
    python scripts/run_notebooks.py 07 12       # some
    BOOK_LANG=zh_CN python scripts/run_notebooks.py 07
    BOOK_LANG=zh_CN python scripts/run_notebooks.py --exercises 07

Each chapter runs in a process of its own with one thread on the CPU, which is how its
outputs are verified. What is written back is the same on every run: cell ids are kept,
and neither times nor the machine's kernel version are recorded in the notebook.
Seconds and peak memory go to results/notebooks.json.

With BOOK_LANG a chapter is run in that language and left as it is: what its cells show then goes
to book/locale/ (see `translated_outputs.py`). --exercises is enough, and quick, where only hints,
solutions and the quiz have been translated anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

import translated_outputs
from llmbook.language import ENGLISH, VARIABLE, languages
from peak_memory import PeakMemory

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "notebooks"
RESULTS = ROOT / "results" / "notebooks.json"
AT_A_TIME = 2
CELL_TIMEOUT = 300  # seconds
MEGABYTE = 1e6

# One thread, no network, no progress bars: what a verified run is.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "LLMBOOK_DEVICE": "cpu",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3", "file_extension": ".py"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def find_chapters(numbers: list[str]) -> list[Path]:
    """Return the chapters with these numbers, all of them where none is given."""
    chapters = sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb"))
    if not numbers:
        return chapters
    chosen = [path for path in chapters if path.name[:2] in {n.zfill(2) for n in numbers}]
    missing = {n.zfill(2) for n in numbers} - {path.name[:2] for path in chosen}
    if missing:
        names = ", ".join(path.stem for path in chapters)
        sys.exit(f"No chapter {', '.join(sorted(missing))}. There are: {names}")
    return chosen


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Drop what changes from run to run and join what a kernel may send in pieces."""
    notebook.metadata["kernelspec"] = dict(KERNEL)
    notebook.metadata["language_info"] = dict(LANGUAGE)
    notebook.metadata.pop("execution", None)
    widgets = notebook.metadata.get("widgets", {})
    if not widgets.get(WIDGET_STATE, {}).get("state"):
        notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = join_streams(cell.outputs)


def join_streams(outputs: list) -> list:
    """Merge neighbouring pieces of the same stream: where they split is chance."""
    joined: list = []
    for output in outputs:
        last = joined[-1] if joined else None
        is_stream = output.output_type == "stream"
        if is_stream and last is not None and last.get("name") == output.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def first_words(source: str) -> str:
    """Return the first line of a cell that says something."""
    lines = [line for line in source.splitlines() if line.strip()]
    return lines[0][:80] if lines else "(an empty cell)"


def explain(error: Exception, notebook: nbformat.NotebookNode) -> str:
    """Say which cell failed and how, in a few lines."""
    message = f"{getattr(error, 'ename', type(error).__name__)}: "
    message += str(getattr(error, "evalue", "") or error).strip()
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
                tail = "\n".join("    " + line for line in trace.splitlines()[-25:])
                where = f"cell {number} (id {cell.id}): {first_words(cell.source)}"
                return f"{where}\n  {output.ename}: {output.evalue}\n{tail}"
    return message


def client_of(notebook: nbformat.NotebookNode, folder: Path, speech: str) -> NotebookClient:
    """Make what executes a chapter; in another language each cell's messages are noted."""
    noting = [f"--IPKernelApp.code_to_run={translated_outputs.NOTE_MESSAGES}"]
    return NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        extra_arguments=["--log-level=ERROR", *(noting if speech != ENGLISH else [])],
    )


def keep(path: Path, notebook: nbformat.NotebookNode, speech: str) -> Path:
    """Write an executed chapter back, or what it shows in another language; return the file."""
    tidy(notebook)
    text, target = nbformat.writes(notebook, indent=1), path
    if speech != ENGLISH:
        target = translated_outputs.store_path(speech, path.stem)
        text = translated_outputs.as_text(
            translated_outputs.update(target, nbformat.read(path, as_version=4), notebook)
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text)
    return target


def execute(path: Path, speech: str = ENGLISH, exercises: bool = False) -> dict:
    """Run one chapter and keep what it gave; on failure leave the files as they were.

    Args:
        path: of the chapter.
        speech: the language that the package speaks.
        exercises: run the imports and the exercises' cells alone (in another language).
    Returns:
        chapter, seconds, peak_mb (the kernel and all it starts), size_kb of the file,
        error (None where all went well).
    """
    os.environ.update(ENVIRONMENT | {VARIABLE: speech})
    notebook = nbformat.read(path, as_version=4)
    if exercises:
        notebook.cells = translated_outputs.exercise_cells(notebook)
    client = client_of(notebook, path.parent, speech)
    error = None
    start = time.perf_counter()
    with PeakMemory() as memory:
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as caught:
            error = explain(caught, notebook)
    seconds = time.perf_counter() - start
    written = keep(path, notebook, speech) if error is None else path
    return {
        "chapter": path.stem,
        "seconds": round(seconds, 1),
        "peak_mb": round(memory.peak / MEGABYTE),
        "size_kb": round(written.stat().st_size / 1000),
        "error": error,
    }


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, so that an interrupted run leaves the old one."""
    text = text.rstrip("\n") + "\n"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def run_all(chapters: list[Path], speech: str = ENGLISH, exercises: bool = False) -> list[dict]:
    """Execute chapters two at a time under a progress bar, in the order of the book."""
    records = []
    bar = tqdm(total=len(chapters), unit="chapter", disable=False, desc="Executing")
    with ProcessPoolExecutor(
        AT_A_TIME, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for future in as_completed(
            pool.submit(execute, path, speech, exercises) for path in chapters
        ):
            record = future.result()
            records.append(record)
            bar.set_postfix_str(record["chapter"])
            bar.update()
    bar.close()
    return sorted(records, key=lambda record: record["chapter"])


def processor() -> str:
    """Name the processor as the system does."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match.group(1).strip() if match else platform.machine()


def record_results(records: list[dict]) -> None:
    """Merge the measurements into results/notebooks.json, each with date and machine."""
    import torch

    old = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    chapters = old.get("chapters", {})
    machine = f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}, 1 thread per chapter"
    for record in records:
        if record["error"] is None:
            entry = {key: record[key] for key in ("seconds", "peak_mb", "size_kb")}
            chapters[record["chapter"]] = entry | {
                "date": datetime.now(UTC).date().isoformat(),
                "device": machine,
                "python": platform.python_version(),
                "torch": torch.__version__.split("+")[0],
            }
    RESULTS.parent.mkdir(exist_ok=True)
    content = {"command": "make notebooks", "chapters": dict(sorted(chapters.items()))}
    write_atomically(RESULTS, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def print_table(records: list[dict]) -> None:
    """Print seconds, peak memory and file size per chapter."""
    width = max(len(record["chapter"]) for record in records)
    print(f"\n{'chapter':<{width}}  seconds  peak MB  file kB")
    for record in records:
        mark = "  FAILED" if record["error"] else ""
        print(
            f"{record['chapter']:<{width}}  {record['seconds']:7.1f}  {record['peak_mb']:7d}"
            f"  {record['size_kb']:7d}{mark}"
        )


def main() -> int:
    """Execute, record, report; return 1 where a chapter failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("chapter", nargs="*", help="numbers such as 07; all where none is given")
    parser.add_argument(
        "--exercises", action="store_true", help="their cells alone (with BOOK_LANG)"
    )
    arguments = parser.parse_args()
    chapters = find_chapters(arguments.chapter)
    if not chapters:
        sys.exit("There is no chapter in notebooks/ yet.")
    speech = os.environ.get("BOOK_LANG") or ENGLISH
    if speech not in languages():
        sys.exit(f"No language {speech}. There are: {', '.join(languages())}")
    if arguments.exercises and speech == ENGLISH:
        sys.exit("--exercises is for another language: set BOOK_LANG")
    records = run_all(chapters, speech, arguments.exercises)
    if speech == ENGLISH:
        record_results(records)
    print_table(records)
    failed = [record for record in records if record["error"]]
    for record in failed:
        print(f"\n{record['chapter']} failed in {record['error']}", file=sys.stderr)
    if failed:
        print(f"\n{len(failed)} of {len(records)} chapters failed.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
