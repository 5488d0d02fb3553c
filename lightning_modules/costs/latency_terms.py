"""What a network's latency is a sum of, and on which decisions each summand depends."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from optuna.distributions import BaseDistribution
import torch
from torch import nn
from torch import Tensor

from lightning_modules.backbone import FeatureVector
from lightning_modules.tasks import Task
from optuna_nas.spaces import choices_of


Size = tuple[int, int]
"""Height and width."""
_TOLERANCE = 1e-4
"""How far a sum of probabilities may be from 1; more in types that are not that exact."""


def shrink(size: Size, stride: int) -> Size:
    """Return height and width after a stride, rounded up."""
    return -(-size[0] // stride), -(-size[1] // stride)


@dataclass(frozen=True)
class Operation:
    """A module that can be measured.

    Args:
        name: Equal for operations that cost the same: its sizes and the shape of its input.
        make: Makes the module.
        input_shape: Shape of one sample.
    """

    name: str
    make: Callable[[], nn.Module]
    input_shape: tuple[int, ...]


def operation(kind: str, make: Callable[[], nn.Module], *input_shape: int) -> Operation:
    """Return the operation with its input shape in its name, e.g. ``add @ 16x28x28``."""
    return Operation(f"{kind} @ {'x'.join(map(str, input_shape))}", make, input_shape)


@dataclass(frozen=True, eq=False)
class Factor:
    """A value that decisions of an architecture determine, e.g. the height of a block's input.

    Args:
        inputs: Names of decisions, or other factors. No decision stands behind two of them, so
            that they are independent where the decisions are.
        by: From the values of the inputs to a hashable value. A decision that is not active has
            the value :obj:`None` in an architecture.
    """

    inputs: Sequence[str | Factor]
    by: Callable[..., Any]

    def value(self, architecture: Mapping[str, Any]) -> Any:
        """Return the value in an architecture."""
        return self.by(*(value_of(part, architecture) for part in self.inputs))


def value_of(part: str | Factor, architecture: Mapping[str, Any]) -> Any:
    """Return the choice of a decision, :obj:`None` if it is inactive, or the value of a factor."""
    return part.value(architecture) if isinstance(part, Factor) else architecture.get(part)


Factors = dict[str, str | Factor]
"""Decisions and factors by the name of the argument that takes their value."""


@dataclass(frozen=True, eq=False)
class Term:
    """A summand of the latency: at one position, one operation or none.

    Args:
        position: Where in the network, e.g. ``stage_1_block_2``.
        factors: What the operation depends on. No decision stands behind two factors.
        operation: From the values of the factors, as arguments of these names, to the operation,
            or to :obj:`None` if there is none.
        times: How often the operation is in the network.
    """

    position: str
    factors: Factors
    operation: Callable[..., Operation | None]
    times: int = 1

    def values(self, architecture: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values of the factors in an architecture."""
        return tuple(value_of(factor, architecture) for factor in self.factors.values())

    def operation_of(self, values: Sequence[Any]) -> Operation | None:
        """Return the operation for the values of the factors."""
        return self.operation(**dict(zip(self.factors, values, strict=True)))


def fixed(position: str, the: Operation) -> Term:
    """Return the summand of an operation that all architectures have."""
    return Term(position, {}, lambda: the)


def head_term(task: Task, n_features: Factor) -> Term:
    """Return the summand of the task's head.

    Args:
        task: The task.
        n_features: The length of the backbone's feature vector.

    Raises:
        ValueError: If the head reads feature maps, whose shapes may depend on all decisions.
    """
    if task.reads_maps:
        raise ValueError(
            "Expected argument `task` to have a head that reads the feature vector, for a sum of "
            f"latencies, but got {task}, whose head reads feature maps."
        )
    return Term("head", {"n_features": n_features}, partial(_head, task))


def _head(task: Task, *, n_features: int) -> Operation:
    return operation("head", partial(task.head, FeatureVector(n_features)), n_features)


def constant(value: Any) -> Factor:
    """Return a factor that has the same value in all architectures."""
    return Factor((), lambda: value)


class FactorValues:
    """The values that factors can have in a search space, and their probabilities.

    Args:
        distributions: The decisions, categorical or integer.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._choices = {name: choices_of(dist) for name, dist in distributions.items()}
        self._values: dict[Factor, list[Any]] = {}
        self._indices: dict[Factor, Tensor] = {}

    def values(self, part: str | Factor) -> Sequence[Any]:
        """Return the choices of a decision, or the different values of a factor."""
        if isinstance(part, str):
            return self._choices[part]
        if part not in self._values:
            places: dict[Any, int] = {}
            joint = product(*map(self.values, part.inputs))
            indices = [places.setdefault(part.by(*values), len(places)) for values in joint]
            self._indices[part] = torch.tensor(indices)
            self._values[part] = list(places)
        return self._values[part]

    def of(self, term: Term) -> list[tuple[Any, ...]]:
        """Return all combinations of values of a term's factors, the last one varying fastest."""
        return list(product(*map(self.values, term.factors.values())))

    def with_uniform(self, probabilities: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return probabilities of all decisions: those given, and uniform ones.

        Args:
            probabilities: For some decisions, those of their choices.

        Raises:
            ValueError: If a name is no decision, a shape or type is wrong, a probability is
                negative, or their sum is not 1.
        """
        unknown = [name for name in probabilities if name not in self._choices]
        if unknown:
            raise ValueError(
                "Expected argument `probabilities` to name decisions of the search space "
                f"but got {unknown}."
            )
        like = next(iter(probabilities.values()), torch.zeros(0))
        given: dict[str, Tensor] = {}
        for name, choices in self._choices.items():
            n = len(choices)
            given[name] = probabilities.get(name, like.new_full((n,), 1 / n))
            if given[name].shape != (n,) or not given[name].is_floating_point():
                raise ValueError(
                    f"Expected the probabilities of decision `{name}` to be floating point of "
                    f"shape ({n},) but got {given[name].dtype} of {tuple(given[name].shape)}."
                )
            _require_distribution(name, given[name].detach())
        return given

    def probabilities(
        self, part: str | Factor, given: Mapping[str, Tensor], known: dict[Factor, Tensor]
    ) -> Tensor:
        """Return the probability of each value.

        Args:
            part: A decision or factor.
            given: The probabilities of each decision's choices.
            known: Of the factors that were asked for with the same ``given``; it is added to.

        Returns:
            Shape (number of values,).
        """
        if isinstance(part, str):
            return given[part]
        if part not in known:
            n_values = len(self.values(part))
            joint = next(iter(given.values())).new_ones(1)
            for source in part.inputs:
                vector = self.probabilities(source, given, known)
                joint = torch.outer(joint, vector).flatten()
            index = self._indices[part].to(joint.device)
            known[part] = joint.new_zeros(n_values).index_add(0, index, joint)
        return known[part]


def _require_distribution(name: str, probabilities: Tensor) -> None:
    tolerance = max(_TOLERANCE, torch.finfo(probabilities.dtype).eps)
    lowest, total = float(probabilities.min()), float(probabilities.double().sum())
    if not (lowest >= 0 and abs(total - 1) <= tolerance):  # So that NaN does not pass.
        raise ValueError(
            f"Expected the probabilities of decision `{name}` to be at least 0 and of sum 1 but "
            f"got a lowest one of {lowest:g} and a sum of {total:g}."
        )
