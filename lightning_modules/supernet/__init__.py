"""Supernets: one network for all architectures of a space, trained before the study."""

from lightning_modules._lazy import lazy_names


__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
