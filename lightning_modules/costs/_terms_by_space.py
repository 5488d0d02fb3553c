"""What the latency of each search space's networks is a sum of."""

from collections.abc import Callable

from lightning_modules.costs.latency_terms import Domain
from lightning_modules.costs.latency_terms import Factor
from lightning_modules.costs.latency_terms import Operation
from lightning_modules.costs.latency_terms import operation
from lightning_modules.costs.latency_terms import Term
from lightning_modules.spaces.cell.latency import cell_terms
from lightning_modules.spaces.chain.latency import chain_terms
from lightning_modules.spaces.darts.latency import darts_terms
from lightning_modules.spaces.mobile.latency import mobile_terms


__all__ = [
    "Domain",
    "Factor",
    "LATENCY_TERMS",
    "Operation",
    "Term",
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
