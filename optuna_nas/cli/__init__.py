"""The command line: ``optuna-nas search | train | show | predict``."""

from __future__ import annotations

from collections.abc import Sequence
import os
import sys

from optuna_nas.cli._errors import CommandError
from optuna_nas.cli._parser import make_parser


__all__ = ["CommandError", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words of the command line; those of the process by default.

    Returns:
        The exit status: 0, 1 if nothing was found, 2 for wrong input, 130 if interrupted.
    """
    try:
        config = make_parser().parse_args(list(arguments) if arguments is not None else None)
        options = config[config.subcommand].as_dict()
        options.pop("config", None)
        # Only now, so that the help and wrong arguments do not wait for torch and mlflow.
        from optuna_nas.cli import _commands

        return _commands.run(config.subcommand, options)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    except CommandError as error:
        print(f"optuna-nas: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("optuna-nas: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # Whoever read the output, e.g. `head`, has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
