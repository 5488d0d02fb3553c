"""Checks of arguments that many modules make."""

from __future__ import annotations


def check_positive(name: str, value: int) -> None:
    """Raise a ValueError unless ``value`` is at least 1."""
    check_at_least(name, value, 1)


def check_at_least(name: str, value: int, least: int) -> None:
    """Raise a ValueError unless ``value`` is at least ``least``."""
    if value < least:
        raise ValueError(f"Expected argument `{name}` to be at least {least} but got {value}.")
