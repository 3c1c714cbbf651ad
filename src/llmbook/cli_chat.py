"""A conversation with a model that follows instructions: ``python -m llmbook chat``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmbook.models import GPT
    from llmbook.tokenizers import BPETokenizer

HELP = "/reset forgets the conversation, /exit leaves, Ctrl-C stops an answer."
_UNSEEN = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])
"""Control characters, but tab and line break: a terminal would obey them."""


def add_chat_options(p: argparse.ArgumentParser) -> None:
    """Options of ``chat``."""
    from llmbook.tokenizers.chat import SMOLLM2_SYSTEM

    add = p.add_argument
    add("--model", default="smollm2", help="smollm2, a .gguf file, or a folder in the hub's layout")
    add("--system", default=SMOLLM2_SYSTEM, help="what the model is told about itself; '' for none")
    add("--max-new-tokens", type=int, default=256, help="tokens of an answer at most")
    add("--temperature", type=float, default=0.2, help="0 takes the most probable token")
    add("--top-p", type=float, default=0.9, help="draw from the tokens that hold this share")
    add("--seed", type=int, help="of the draws (default: different each time)")
    add("--device", help="cpu, cuda or mps (default: the best at hand)")


def chat_command(o: argparse.Namespace) -> int:
    """Read messages line by line, from a person or a pipe, and print answers as they are drawn."""
    from llmbook import pick_device
    from llmbook.tokenizers.chat import chat_ids
    from llmbook.weights import load_named

    model, tokenizer = load_named(o.model)
    chat_ids(tokenizer)  # refuses a tokenizer without the tokens of a conversation
    conversation = Conversation(model.to(pick_device(o.device)), tokenizer, o)
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        print(f"{model.n_params() / 1e6:.0f} million parameters on {model.device}. {HELP}")
    for line in _lines(at_terminal):
        if line == "/exit":
            break
        if line == "/reset":
            conversation.reset()
        elif line == "/help":
            print(HELP)
        elif line:
            _answer(conversation, line)
    return 0


class Conversation:
    """The turns so far as token ids, and a model that has read them.

    What the model read for one answer it keeps for the next. When the context is full, the
    oldest exchange is forgotten; the system message stays.
    """

    def __init__(self, model: GPT, tokenizer: BPETokenizer, options: argparse.Namespace) -> None:
        self.model, self.tokenizer, self.options = model, tokenizer, options
        self.reset()

    def reset(self) -> None:
        """Forget every exchange."""
        from llmbook.tokenizers.chat import encode_chat

        message = {"role": "system", "content": self.options.system}
        self.system = encode_chat(self.tokenizer, [message], False) if message["content"] else []
        self.exchanges: list[list[int]] = []
        self._forget_reading()

    def ask(self, text: str) -> None:
        """Take a message as the next turn.

        Raises:
            ValueError: text that is not Unicode, or too long for the context.
        """
        from llmbook.tokenizers.chat import encode_chat

        asked = [{"role": "user", "content": text}]
        exchange = encode_chat(self.tokenizer, asked, default_system=None)
        self._make_room(len(exchange) + self.options.max_new_tokens)
        self.exchanges.append(exchange)

    def answer(self) -> Iterator[str]:
        """Pieces of the answer, as they are drawn."""
        from llmbook.tokenizers.chat import chat_ids

        exchange = self.exchanges[-1]
        n_asked, shown = len(exchange), ""
        try:
            for token in self._draw():
                exchange.append(token)
                # A character may be spread over several tokens: wait until it is whole.
                whole = self.tokenizer.decode(exchange[n_asked:]).rstrip("\ufffd")
                yield whole[len(shown) :].translate(_UNSEEN)
                shown = whole
        finally:  # however the answer ended, the next turn begins after it
            exchange += [chat_ids(self.tokenizer)[1], *self.tokenizer.encode("\n")]

    def _draw(self) -> Iterator[int]:
        import torch

        from llmbook.generate import stream

        ids = self.system + [token for exchange in self.exchanges for token in exchange]
        try:
            for step in stream(
                self.reader,
                torch.tensor([ids], device=self.model.device),
                max_new_tokens=self.options.max_new_tokens,
                temperature=self.options.temperature,
                top_p=self.options.top_p,
                seed=self.options.seed,
            ):
                token = int(step)
                if token in self.tokenizer.special.values():
                    return
                yield token
        except BaseException:  # stopped within a step: some layers may have read it, others not
            self._forget_reading()
            raise

    def _make_room(self, n_new: int) -> None:
        room = self.model.config.context_length - len(self.system) - n_new
        if room < 0:
            raise ValueError(
                f"the message and {self.options.max_new_tokens} new tokens exceed the context of "
                f"{self.model.config.context_length}: shorten it, or lower --max-new-tokens"
            )
        while sum(map(len, self.exchanges)) > room:
            del self.exchanges[0]
            self._forget_reading()

    def _forget_reading(self) -> None:
        from llmbook.generate import Reader

        self.reader = Reader(self.model)


def _lines(at_terminal: bool) -> Iterator[str]:
    read: Callable[[], str] = (lambda: input("> ")) if at_terminal else input
    while True:
        try:
            yield read().strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            if not at_terminal:
                raise
            print(f"\n{HELP}")


def _answer(conversation: Conversation, text: str) -> None:
    try:
        conversation.ask(text)
    except ValueError as error:  # such as half a character: say so, and go on
        print(f"llmbook chat: {error}", file=sys.stderr)
        return
    try:
        for piece in conversation.answer():
            print(piece, end="", flush=True)
        print()
    except KeyboardInterrupt:
        print(" [stopped]")
