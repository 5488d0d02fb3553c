"""Training with Lightning: a task's module, the evaluator of trials, and the final network."""

from lightning_modules._lazy import lazy_names


__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
