"""A conversation as one sequence of tokens: the ChatML form that SmolLM2 was trained on.

Each message is ``<|im_start|>role⏎content<|im_end|>⏎``. The form is written down here: a template
that a file carries is a small program, and is never run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmbook.tokenizers.bpe import BPETokenizer

START, END = "<|im_start|>", "<|im_end|>"
ROLES = ("system", "user", "assistant", "tool")
SMOLLM2_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What SmolLM2's template puts in front where a conversation begins without a system message."""

Message = Mapping[str, str]
"""``{"role": "user", "content": "Hello"}``."""


def chat_prompt(
    messages: Sequence[Message], reply: bool = True, default_system: str | None = SMOLLM2_SYSTEM
) -> str:
    """The conversation as text, to look at.

    To feed a model use `encode_chat`: in this text a special token that somebody typed looks
    like a real one.

    Args:
        messages: turns with ``role`` and ``content``.
        reply: end with the beginning of the assistant's next turn.
        default_system: the system message of a conversation that has none; None for none.

    Raises:
        ValueError: no message, an unknown role, or content that is no text.

    Source: the chat template of SmolLM2-135M-Instruct (Allal et al. 2025). Taught in chapter 21.
    """
    turns = _turns(messages, default_system)
    text = "".join(f"{START}{turn}{END}\n" for turn in turns)
    return f"{text}{START}assistant\n" if reply else text


def encode_chat(
    tokenizer: BPETokenizer,
    messages: Sequence[Message],
    reply: bool = True,
    default_system: str | None = SMOLLM2_SYSTEM,
) -> list[int]:
    """The ids of the conversation; arguments and refusals as in `chat_prompt`.

    Only the special tokens around the turns become special ids. One that stands inside a
    message stays plain text, so that no user can end a turn and speak as the system.
    """
    start, end = chat_ids(tokenizer)
    ids: list[int] = []
    for turn in _turns(messages, default_system):
        ids += [start, *tokenizer.encode(turn), end, *tokenizer.encode("\n")]
    return [*ids, start, *tokenizer.encode("assistant\n")] if reply else ids


def chat_ids(tokenizer: BPETokenizer) -> tuple[int, int]:
    """The ids that begin and end a turn.

    Raises:
        ValueError: the tokenizer has no such tokens, so its model was trained on another form.
    """
    missing = [name for name in (START, END) if name not in tokenizer.special]
    if missing:
        raise ValueError(
            f"the tokenizer has no {missing[0]}: its model does not converse in ChatML; "
            "use `generate` to let it continue a text"
        )
    return tokenizer.special[START], tokenizer.special[END]


def _turns(messages: Sequence[Message], default_system: str | None) -> list[str]:
    if not messages:
        raise ValueError("messages is empty: give at least one message")
    for message in messages:
        if message.get("role") not in ROLES:
            raise ValueError(f"role={message.get('role')!r}: choose one of {ROLES}")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"content={message.get('content')!r}: give a text")
    turns = [f"{m['role']}\n{m['content']}" for m in messages]
    if messages[0]["role"] != "system" and default_system is not None:
        turns.insert(0, f"system\n{default_system}")
    return turns
