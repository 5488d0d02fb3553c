"""The error that ends a command with status 2 and one sentence."""

from __future__ import annotations


class CommandError(ValueError):
    """Wrong input to a command; the message is what the user reads."""
