"""Networks of architectures, their training with PyTorch Lightning, and what they cost."""

from lightning_modules._lazy import lazy_names


__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
