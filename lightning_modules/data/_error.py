"""The error of data that cannot be used."""

from __future__ import annotations


class DataError(ValueError):
    """Data is missing, damaged or not of the expected form; the message says which and where."""
