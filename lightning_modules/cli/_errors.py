"""From errors about arguments of Python to sentences about options."""

from __future__ import annotations

import re


OPTIONS: set[str] = set()
"""Names of the options of all commands, which the parser fills in."""


class CommandError(ValueError):
    """Wrong input to a command; the message is what the user reads."""


def as_command_error(error: Exception) -> CommandError:
    """Return an error about an argument of a function as one about the option of that name."""
    if isinstance(error, CommandError):
        return error
    return CommandError(in_options(" ".join(str(error).split())))


def in_options(text: str) -> str:
    """Return a sentence in which arguments are called as the options of their names.

    Arguments that no option sets, such as sizes of a network, stay as they are.
    """

    def renamed(match: re.Match[str]) -> str:
        return f"option {flag_of(match[1])}" if match[1] in OPTIONS else match[0]

    return re.sub(r"argument `(\w+)`", renamed, text)


def flag_of(name: str) -> str:
    """Return the option for an argument, e.g. ``--n-trials`` for ``n_trials``."""
    return f"--{name.replace('_', '-')}"
