"""The command line: ``python -m llmbook {train,generate,chat,info,grade}``.

Exit status: 0 done; 1 (grade) some exercise did not pass; 2 the command could not be carried
out, for the reason printed; 130 interrupted. Each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from llmbook import cli_chat, cli_models

TRAIN_HELP = "Train a model on the book's corpus or your own text; started again, it goes on."
GENERATE_HELP = "Continue a text, token by token."
CHAT_HELP = "Converse with SmolLM2, or another model that follows instructions."
INFO_HELP = "Say what is installed, on which device, and what ships."
GRADE_HELP = "Grade the exercises of a handed-in notebook. Its code runs as you: no sandbox."

STATUS_HELP = (
    "Exit status: 0 done, 1 some exercise did not pass (grade), 2 the command could not be "
    "carried out, 130 interrupted."
)

EXPECTED_ERRORS = (ValueError, OSError, ImportError, RuntimeError, FloatingPointError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console of another encoding must not stop a tick
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(argv)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EXPECTED_ERRORS as error:
        print(f"llmbook {options.command}: {error or type(error).__name__}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmbook", description="The tools of the book.", epilog=STATUS_HELP
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, add_options, run, help in (
        ("train", cli_models.add_train_options, cli_models.train_command, TRAIN_HELP),
        ("generate", cli_models.add_generate_options, cli_models.generate_command, GENERATE_HELP),
        ("chat", cli_chat.add_chat_options, cli_chat.chat_command, CHAT_HELP),
        ("info", _add_info_options, _info, INFO_HELP),
        ("grade", _add_grade_options, _grade, GRADE_HELP),
    ):
        style = argparse.ArgumentDefaultsHelpFormatter
        command = commands.add_parser(
            name, help=help, description=help, formatter_class=style, epilog=STATUS_HELP
        )
        add_options(command)
        command.set_defaults(run=run)
    return parser


# info -------------------------------------------------------------------------------------------


def _add_info_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print JSON")


def _info(o: argparse.Namespace) -> int:
    from llmbook.about import facts

    found = facts()
    if o.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        width = max(map(len, found))
        print("\n".join(f"{name:<{width}}  {value}" for name, value in found.items()))
    return 0


# grade ------------------------------------------------------------------------------------------


def _add_grade_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", type=Path, help="the .ipynb file")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.add_argument("--time-limit", type=float, default=600.0, help="seconds for the whole notebook")
    p.add_argument("--seed", type=int, default=0, help="of the grader's inputs")


def _grade(o: argparse.Namespace) -> int:
    from llmbook.exercises.handin import grade_file, table

    report = grade_file(o.file, time_limit=o.time_limit, seed=o.seed)
    if o.json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        print(table(report))
    return 0 if report.n_passed == len(report.exercises) else 1
