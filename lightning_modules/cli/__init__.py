"""The command line: ``optuna-nas search | supernet | train | show | profile | predict``."""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys
import warnings

from tqdm import tqdm

from lightning_modules.cli._errors import CommandError
from lightning_modules.cli._errors import in_options
from lightning_modules.cli._parser import check_nulls
from lightning_modules.cli._parser import make_parser


__all__ = ["CommandError", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words of the command line; those of the process by default.

    Returns:
        The exit status: 0, 1 if nothing was found, 2 for wrong input or a full disk, 130 if
        interrupted.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _print_warning
        try:
            return _run(arguments)
        except SystemExit as exit_:
            return _status(exit_.code)
        except CommandError as error:
            print(f"optuna-nas: error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("optuna-nas: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # Whoever read the output, e.g. `head`, has gone.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141


def _run(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    config = make_parser(words).parse_args(words)
    options = config[config.subcommand].as_dict()
    options.pop("config", None)
    check_nulls(config.subcommand, options)
    # Only now, so that the help and wrong arguments do not wait for torch and mlflow.
    from lightning_modules.cli import _commands

    return _commands.run(config.subcommand, options)


def _status(code: object) -> int:
    """Return the exit status of a SystemExit, as the interpreter would take it."""
    if isinstance(code, int):
        return code
    if code is not None:
        print(code, file=sys.stderr)
    return int(code is not None)


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning in one line, without the place in the program that gave it."""
    line = in_options(" ".join(str(message).split()))
    tqdm.write(f"optuna-nas: warning: {line}", file=sys.stderr)  # Above a progress bar.
