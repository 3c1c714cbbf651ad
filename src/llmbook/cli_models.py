"""The commands that train a model and let one write: ``python -m llmbook {train,generate}``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

    from llmbook.generate import Constraint
    from llmbook.models import GPT
    from llmbook.tokenizers import BPETokenizer

# train ------------------------------------------------------------------------------------------


def add_train_options(p: argparse.ArgumentParser) -> None:
    """Options of ``train``."""
    add = p.add_argument
    add("--out", type=Path, required=True, help="folder of the log, checkpoint and model")
    add("--preset", default="book-small", help="sizes of the model (see llmbook.config)")
    add("--text", type=Path, nargs="+", metavar="FILE", help="your own UTF-8 files")
    add("--tokens", type=Path, metavar="FILE", help="ids, as datasets.write_token_file leaves them")
    add("--source", help="one part of the corpus: shakespeare, austen, wikipedia or bible")
    add("--steps", type=int, default=1000, help="optimizer steps")
    add("--batch-size", type=int, default=16, help="sequences per batch, over all processes")
    add("--grad-accumulation", type=int, default=1, help="batches per step")
    add("--context-length", type=int, help="tokens per sequence (default: the preset's)")
    add("--learning-rate", type=float, default=1e-3, help="highest learning rate")
    add("--warmup-steps", type=int, default=50, help="steps of rising learning rate")
    add("--optimizer", choices=("adamw", "muon"), default="adamw", help="optimizer")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="products")
    add("--compile", action="store_true", help="use torch.compile")
    add("--checkpoint-every", type=int, default=200, help="steps between checkpoints")
    add("--seed", type=int, default=0, help="of weights and batches")
    add("--device", help="cpu, cuda or mps (default: the best at hand)")
    add("--parallel", choices=("ddp", "fsdp"), help="how torchrun's processes share the work")
    add("--quiet", action="store_true", help="no progress bar")


def train_command(o: argparse.Namespace) -> int:
    """Train, alone or as one of the processes of torchrun."""
    from llmbook import pick_device
    from llmbook.train.parallel import process_group, rank

    try:
        with process_group(pick_device(o.device)) as device:
            return _train(o, device)
    except (ValueError, FloatingPointError):
        if rank() > 0:  # process 0 met the same and says it; torchrun then ends the others
            time.sleep(3)
        raise


def _train(o: argparse.Namespace, device: torch.device) -> int:
    """Train, and leave a folder that ``generate`` reads."""
    from llmbook import seed_everything
    from llmbook.config import GPTConfig
    from llmbook.models import GPT
    from llmbook.train import TrainConfig, gathered_state, train
    from llmbook.train.parallel import rank, rank_zero_first, world_size
    from llmbook.weights import export_hf

    tokenizer = _book_tokenizer()
    size = {} if o.context_length is None else {"context_length": o.context_length}
    try:
        config = GPTConfig.preset(o.preset, vocab_size=tokenizer.vocab_size, **size)
    except KeyError as unknown:
        raise ValueError(unknown.args[0]) from None
    settings = TrainConfig(
        steps=o.steps,
        batch_size=o.batch_size,
        learning_rate=o.learning_rate,
        warmup_steps=min(o.warmup_steps, o.steps),
        grad_accumulation=o.grad_accumulation,
        optimizer=o.optimizer,
        precision=o.precision,
        compile=o.compile,
        checkpoint_every=o.checkpoint_every,
        seed=o.seed,
    )
    with rank_zero_first():
        train_tokens, held_out_tokens = _tokens(o, tokenizer)
    val_tokens = held_out_tokens if len(held_out_tokens) > config.context_length else None
    seed_everything(o.seed)
    model = GPT(config).to(device)
    if rank() == 0:
        team = f", {world_size()} processes" if world_size() > 1 else ""
        size_of_run = f"{model.n_params():,} parameters, {len(train_tokens):,} tokens"
        print(f"{size_of_run}, {model.device}{team}", flush=True)
    history = train(
        model,
        train_tokens,
        val_tokens,
        settings,
        parallel=o.parallel,
        out_dir=o.out,
        progress=not o.quiet,
    )
    weights = gathered_state(model)
    if rank() > 0:
        return 0
    model = GPT(config)  # under FSDP the trained one is spread over the processes
    model.load_state_dict(weights)
    folder = export_hf(model, tokenizer, o.out / "model")
    last = history[-1]
    held_out = f", held out {last['val_loss']:.3f}" if "val_loss" in last else ""
    print(f"Loss {last['loss']:.3f}{held_out} nats per token after {len(history)} steps.")
    print(f'Try it: python -m llmbook generate --model {folder} "Once upon a time"')
    return 0


def _book_tokenizer() -> BPETokenizer:
    from llmbook.tokenizers import BPETokenizer
    from llmbook.weights import book_model_path

    return BPETokenizer.load(book_model_path() / "tokenizer.json")


def _tokens(o: argparse.Namespace, tokenizer: BPETokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out ids: the corpus's own split, or the last twentieth of your own."""
    import numpy as np

    from llmbook.datasets import load_tokens, open_token_file

    if sum(x is not None for x in (o.text, o.tokens, o.source)) > 1:
        raise ValueError("give one of --text, --tokens and --source")
    if o.tokens is not None:
        return _split(open_token_file(o.tokens), tokenizer.vocab_size)
    if o.text is None:
        return (
            load_tokens("train", tokenizer, o.source),
            load_tokens("heldout", tokenizer, o.source),
        )
    ids: list[int] = []
    for path in o.text:
        try:
            ids += [*tokenizer.encode(path.read_text(encoding="utf-8")), tokenizer.end_of_text_id]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text (byte {error.start})") from None
    return _split(np.asarray(ids, dtype=np.uint16), tokenizer.vocab_size)


def _split(tokens: np.ndarray, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    if len(tokens) and int(tokens.max()) >= vocab_size:
        raise ValueError(
            f"token id {tokens.max()} is outside the book's vocabulary of {vocab_size:,}: encode "
            "the text with the book's tokenizer"
        )
    cut = len(tokens) - len(tokens) // 20
    return tokens[:cut], tokens[cut:]


# generate ---------------------------------------------------------------------------------------


MODEL_HELP = "book, smollm2, a .gguf file, a folder in the hub's layout, or a name when online"


def add_generate_options(p: argparse.ArgumentParser) -> None:
    """Options of ``generate``."""
    add = p.add_argument
    add("prompt", nargs="?", default="The", help="the text to continue; - reads it from stdin")
    add("--model", default="book", help=MODEL_HELP)
    add("--max-new-tokens", type=int, default=100, help="tokens to add")
    add("--temperature", type=float, default=0.8, help="0 takes the most probable token")
    add("--top-k", type=int, help="draw from the k most probable tokens only")
    add("--top-p", type=float, help="draw from the most probable tokens that hold this share")
    add("--min-p", type=float, help="draw from tokens this many times as probable as the best")
    add("--repetition-penalty", type=float, default=1.0, help="above 1: fewer tokens come again")
    add("--stop", action="append", default=[], metavar="TEXT", help="end before it; repeatable")
    add("--regex", metavar="PATTERN", help="the new text matches this regular expression")
    add("--json-schema", metavar="FILE", help="the new text is JSON that this schema allows")
    add("--beams", type=int, default=1, help="search with so many beams instead of drawing")
    add("--seed", type=int, help="of the draws (default: different each time)")
    add("--device", help="cpu, cuda or mps (default: the best at hand)")


def generate_command(o: argparse.Namespace) -> int:
    """Print the prompt and, as they are drawn, the new tokens."""
    from llmbook import pick_device
    from llmbook.generate import text_stream
    from llmbook.weights import load_named

    if o.beams > 1 and (o.regex or o.json_schema or o.stop):
        raise ValueError("--beams goes without --regex, --json-schema and --stop")
    model, tokenizer = load_named(o.model)
    model = model.to(pick_device(o.device))
    prompt = sys.stdin.read() if o.prompt == "-" else o.prompt
    constraint = _constraint(o, tokenizer)
    print(prompt, end="", flush=True)
    if o.beams > 1:
        print(_best_beam(o, model, tokenizer, prompt))
        return 0
    for piece in text_stream(
        model,
        tokenizer,
        prompt,
        max_new_tokens=o.max_new_tokens,
        temperature=o.temperature,
        top_k=o.top_k,
        top_p=o.top_p,
        min_p=o.min_p,
        repetition_penalty=o.repetition_penalty,
        seed=o.seed,
        stop_text=o.stop,
        constraint=constraint,
    ):
        print(piece, end="", flush=True)
    print()
    return 0


def _constraint(o: argparse.Namespace, tokenizer: BPETokenizer) -> Constraint | None:
    from llmbook.files import read_json
    from llmbook.generate import Constraint

    if o.regex and o.json_schema:
        raise ValueError("give --regex or --json-schema, not both")
    if o.json_schema:
        return Constraint.json_schema(read_json(Path(o.json_schema)), tokenizer)
    return Constraint.regex(o.regex, tokenizer) if o.regex else None


def _best_beam(o: argparse.Namespace, model: GPT, tokenizer: BPETokenizer, prompt: str) -> str:
    import torch

    from llmbook.generate import beam_search

    ids = tokenizer.encode(prompt) or [tokenizer.end_of_text_id]
    beams = beam_search(
        model,
        torch.tensor([ids], device=model.device),
        n_beams=o.beams,
        max_new_tokens=o.max_new_tokens,
        stop_id=tokenizer.end_of_text_id,
    )
    return tokenizer.decode(beams[0].ids[len(ids) :].tolist())
