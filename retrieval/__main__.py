"""python -m retrieval COMMAND: the command line; a problem is one line on stderr, exit code 2."""

import argparse
import importlib
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from retrieval.errors import RetrievalError, SettingsError

# name -> what it does; the code is retrieval/commands/NAME.py, imported once it is chosen.
COMMANDS = {
    "search": "rank a gallery for a sentence, with and without normalisation",
    "index": "make a gallery from videos, or from embeddings computed elsewhere",
    "bank": "make a querybank from captions, or from their embeddings",
    "evaluate": "metrics and hubness of a gallery's labelled queries, or of a checkpoint",
    "bias": "one float per item, to take to another search engine",
    "normalise": "any similarity matrix: every normaliser's metrics, intervals and verdict",
    "train": "train a model on the film library, or of an official config",
    "teachers": "what a trained network says of the training captions, for students to learn",
    "masks": "which training captions teachers find worth learning from",
    "challenge": "prediction files of the Video Pentathlon: checked, zipped, scored",
    "animations": "draw the film library",
    "texts": "captions as tokens of a text encoder, to train networks of experts on",
    "fetch": "official features, similarity matrices and models, checked and unpacked",
}


class _Parser(argparse.ArgumentParser):
    """Tells a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; see `{self.prog} --help`")


def _overview() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {about}" for name, about in COMMANDS.items())
    return (
        "usage: python -m retrieval COMMAND [options]\n\n"
        f"Text-to-video retrieval, with and without hubness normalisation.\n\n{commands}\n\n"
        "python -m retrieval COMMAND --help says more."
    )


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    name = argv[0]
    if name not in COMMANDS:
        raise SettingsError(f"unknown command {name[:40]!r}; available: {', '.join(COMMANDS)}")
    command = importlib.import_module(f"retrieval.commands.{name}")
    parser = _Parser(prog=f"python -m retrieval {name}", description=COMMANDS[name])
    command.add_arguments(parser)
    args = parser.parse_args(argv[1:])
    args.command_line = shlex.join(["python", "-m", "retrieval", *argv])
    return command.run(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or 2 after a problem that the one line on stderr names; 130 after Ctrl-C.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("retrieval").setLevel(logging.INFO)
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except (RetrievalError, ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        logging.getLogger(__name__).debug("refused", exc_info=True)
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        name = getattr(error, "filename", None)
        where = f" ({name})" if name and isinstance(error, OSError) else ""
        print(f"error: {' '.join(text.split())}{where}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
