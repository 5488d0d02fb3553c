"""Factors of the architecture loss that grow with what the architecture costs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

from torch import Tensor

from lightning_modules.costs.latency_table import LatencyTable


_US_PER_MS = 1000.0


class CostFactor:
    """alpha * log(cost) ** beta, with which the loss is multiplied.

    Wu et al., FBNet, CVPR 2019, section 3.2, equation 2. Several of them multiply.

    Args:
        expected: From the probabilities of the choices, by decision, to the expected cost, a
            scalar with gradient; in a unit in which it is above 1.
        alpha: The factor, above 0.
        beta: The exponent, at least 0.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        expected: Callable[[Mapping[str, Tensor]], Tensor],
        *,
        alpha: float = 0.2,
        beta: float = 0.6,
    ) -> None:
        if not alpha > 0:
            raise ValueError(f"Expected argument `alpha` to be above 0 but got {alpha}.")
        if not beta >= 0:
            raise ValueError(f"Expected argument `beta` to be at least 0 but got {beta}.")
        self.expected = expected
        self.alpha = alpha
        self.beta = beta

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, beta={self.beta})"

    def __call__(self, probabilities: Mapping[str, Tensor]) -> Tensor:
        """Return the factor, a scalar.

        Raises:
            ValueError: If the expected cost is not above 1, where its logarithm is above 0.
        """
        cost = self.expected(probabilities)
        if not cost > 1:
            raise ValueError(
                "Expected argument `expected` to return a cost above 1, in a unit that makes it "
                f"so, but got {float(cost)}."
            )
        return self.alpha * cost.log() ** self.beta


class LatencyFactor(CostFactor):
    """The factor of the expected latency by a table, in microseconds as in the paper.

    Args:
        table: The latency of each choice, for the search space of the supernet.
        alpha: The factor, above 0.
        beta: The exponent, at least 0.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self, table: LatencyTable, *, alpha: float = 0.2, beta: float = 0.6) -> None:
        super().__init__(
            lambda probabilities: _US_PER_MS * table.expected_ms(probabilities),
            alpha=alpha,
            beta=beta,
        )
        self.table = table

    def __repr__(self) -> str:
        settings = dict(self.table.settings)
        return f"LatencyFactor(alpha={self.alpha}, beta={self.beta}, table={settings})"
