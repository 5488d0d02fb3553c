"""What the latency of each search space's networks is a sum of."""

from collections.abc import Callable

from lightning_modules.latency_terms._cell import cell_terms
from lightning_modules.latency_terms._chain import chain_terms
from lightning_modules.latency_terms._darts import darts_terms
from lightning_modules.latency_terms._factor import choices_of
from lightning_modules.latency_terms._factor import Domain
from lightning_modules.latency_terms._factor import Factor
from lightning_modules.latency_terms._factor import Operation
from lightning_modules.latency_terms._factor import operation
from lightning_modules.latency_terms._factor import Term
from lightning_modules.latency_terms._mobile import mobile_terms


__all__ = [
    "Domain",
    "Factor",
    "LATENCY_TERMS",
    "Operation",
    "Term",
    "choices_of",
    "operation",
]


LATENCY_TERMS: dict[str, Callable[..., list[Term]]] = {
    "cell": cell_terms,
    "chain": chain_terms,
    "darts": darts_terms,
    "mobile": mobile_terms,
}
"""By the name of the search space: a function from the space's decisions and the arguments of its
builder to the summands. A space of your own can be added.
"""
