"""Networks for tables: MLP, ResNet and FT-Transformer with embeddings of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._choices import check_countable
from optuna_nas.spaces._space import SearchSpace


FAMILIES = ("mlp", "resnet", "ft-transformer")
"""The networks of Gorishniy et al., NeurIPS 2021, sections 3.1 to 3.3."""
EMBEDDINGS = ("none", "linear", "periodic", "piecewise")
"""How a number becomes a vector (Gorishniy et al., NeurIPS 2022): not at all, by a linear layer
and ReLU, by sines and cosines of learned frequencies (section 3.3), or by its place among
quantiles (section 3.2)."""

_LAYERS = ("normalisation", "activation")


class TabularSpace(SearchSpace):
    """The networks that deep learning has for tables, with their regularisation.

    The decisions are ``family``, ``embedding`` (with ``embedding_size``, and for sines
    ``frequency_scale``), ``depth``, ``width`` (of a token in a transformer), for MLP and ResNet
    ``normalisation`` and ``activation``, and ``dropout``. With ``training`` also
    ``learning_rate`` and ``weight_decay``, which the network does not show: such an architecture
    is a network and how it is trained.

    Args:
        families: Of :data:`FAMILIES`.
        embeddings: Of :data:`EMBEDDINGS`; a transformer has tokens instead of ``"none"``.
        max_depth: Largest number of layers or blocks; a transformer has at most 4.
        widths: Candidate numbers of units of MLP and ResNet.
        token_sizes: Candidate sizes of a transformer's token, multiples of 8.
        training: Whether learning rate and weight decay are searched as well.

    Raises:
        ValueError: If a candidate is unknown or out of its range.

    Example:

        >>> space = TabularSpace(training=False)
        >>> text = "family=mlp,embedding=none,depth=2,width=256,normalisation=batch,"
        >>> architecture = space.from_string(text + "activation=relu,dropout=0.1")
        >>> architecture["width"]
        256
    """

    def __init__(
        self,
        *,
        families: Sequence[str] = FAMILIES,
        embeddings: Sequence[str] = EMBEDDINGS,
        max_depth: int = 6,
        widths: Sequence[int] = (64, 128, 256, 512),
        token_sizes: Sequence[int] = (32, 64, 96, 128),
        training: bool = True,
    ) -> None:
        for name, given, known in [
            ("families", families, FAMILIES),
            ("embeddings", embeddings, EMBEDDINGS),
        ]:
            if not given or not set(given) <= set(known):
                raise ValueError(
                    f"Expected argument `{name}` to be names of {list(known)} but got "
                    f"{list(given)}."
                )
        if max_depth < 1:
            raise ValueError(
                f"Expected argument `max_depth` to be at least 1 but got {max_depth}."
            )
        if not token_sizes or any(size < 8 or size % 8 for size in token_sizes):
            raise ValueError(
                "Expected argument `token_sizes` to be multiples of 8 but got "
                f"{list(token_sizes)}."
            )
        if not widths or min(widths) < 1:
            raise ValueError(
                f"Expected argument `widths` to be numbers of at least 1 but got {list(widths)}."
            )
        decisions: dict[str, BaseDistribution] = {
            "family": CategoricalDistribution(tuple(families)),
            "embedding": CategoricalDistribution(tuple(embeddings)),
            "embedding_size": CategoricalDistribution((8, 16, 24, 32)),
            "frequency_scale": CategoricalDistribution((0.01, 0.03, 0.1, 0.3, 1.0)),
            "depth": IntDistribution(1, max_depth),
            "width": CategoricalDistribution(tuple(widths)),
            "layers": IntDistribution(1, min(4, max_depth)),
            "token_size": CategoricalDistribution(tuple(token_sizes)),
            "normalisation": CategoricalDistribution(("none", "batch", "layer")),
            "activation": CategoricalDistribution(("relu", "gelu", "silu")),
            "dropout": CategoricalDistribution((0.0, 0.1, 0.2, 0.3, 0.5)),
        }
        if training:
            rates = (0.0003, 0.001, 0.003, 0.01)
            decisions["learning_rate"] = CategoricalDistribution(rates)
            decays = (0.0, 1e-05, 0.0001, 0.001, 0.01)
            decisions["weight_decay"] = CategoricalDistribution(decays)
        self._distributions = decisions
        check_countable(decisions)

    @property
    def name(self) -> str:
        return "tabular"

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        is_transformer = params.get("family") == "ft-transformer"
        if name in ("layers", "token_size"):
            return is_transformer
        if name in ("depth", "width", *_LAYERS):
            return not is_transformer
        if name == "embedding_size":  # A transformer's is that of its tokens.
            return not is_transformer and params["embedding"] != "none"
        if name == "frequency_scale":
            return params["embedding"] == "periodic"
        return True
