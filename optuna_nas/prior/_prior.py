"""What a supernet leaves: per decision, a probability for each choice."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
from typing import Any

import numpy as np

from optuna_nas.spaces import Architecture
from optuna_nas.spaces import Choice
from optuna_nas.spaces import choice_at
from optuna_nas.spaces import n_choices
from optuna_nas.spaces import SearchSpace


class Prior:
    """Independent probabilities of the choices of each decision of a search space.

    Decisions without an entry are uniform.

    Args:
        space: The search space.
        probabilities: For each decision a sequence of non-negative numbers, one for each choice in
            the order of its distribution. They are scaled to sum to 1.
        floor: Smallest probability of a choice relative to uniform, in [0, 1]: each distribution
            is mixed with this much of the uniform one, so that no choice is excluded.

    Raises:
        ValueError: If a decision is unknown, or a sequence has the wrong length, a negative or
            non-finite entry, or the sum 0.

    Example:

        >>> from optuna_nas import CellSpace
        >>> prior = Prior(CellSpace(), {"edge_0_1": [0, 0, 0, 3, 1]}, floor=0)
        >>> prior["edge_0_1"].tolist()
        [0.0, 0.0, 0.0, 0.75, 0.25]
        >>> prior.most_likely()["edge_0_1"]
        'nor_conv_3x3'
    """

    def __init__(
        self,
        space: SearchSpace,
        probabilities: Mapping[str, Sequence[float] | np.ndarray],
        *,
        floor: float = 0.1,
    ) -> None:
        if not 0 <= floor <= 1:
            raise ValueError(f"Expected argument `floor` to be in [0, 1] but got {floor}.")
        self.space = space
        self.floor = floor
        self._probabilities: dict[str, np.ndarray] = {}
        for name, given in probabilities.items():
            if name not in space.distributions:
                raise ValueError(
                    f"Expected argument `probabilities` to name decisions of search space "
                    f"`{space.name}` but got {name!r}."
                )
            n = n_choices(space.distributions[name])
            values = np.asarray(given, dtype=float)
            if values.shape != (n,) or not np.isfinite(values).all() or (values < 0).any():
                raise ValueError(
                    f"Expected the probabilities of decision `{name}` to be {n} non-negative "
                    f"numbers but got {values.tolist()}."
                )
            if values.sum() <= 0:
                raise ValueError(
                    f"Expected the probabilities of decision `{name}` to have a positive sum "
                    f"but got {values.tolist()}."
                )
            self._probabilities[name] = values / values.sum()

    def __repr__(self) -> str:
        likely = self.space.to_string(self.most_likely())
        return f"<Prior of {self.space.name!r}, most likely {likely}>"

    def __contains__(self, name: object) -> bool:
        return name in self._probabilities

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the probabilities of a decision, of shape ``(n_choices,)``, without the floor."""
        n = n_choices(self.space.distributions[name])
        return self._probabilities.get(name, np.full(n, 1 / n))

    def draw(self, name: str, rng: np.random.Generator) -> Choice:
        """Draw a choice of a decision, with the floor."""
        probabilities = self[name]
        mixed = (1 - self.floor) * probabilities + self.floor / len(probabilities)
        index = int(rng.choice(len(mixed), p=mixed / mixed.sum()))
        return choice_at(self.space.distributions[name], index)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw an architecture: each active decision in order, with the floor."""
        params: dict[str, Choice] = {}
        for name in self.space.distributions:
            if self.space.is_active(name, params):
                params[name] = self.draw(name, rng)
        return Architecture(self.space.name, params)

    def most_likely(self) -> Architecture:
        """Return the architecture of the most probable choices, decision by decision."""
        params: dict[str, Choice] = {}
        for name, distribution in self.space.distributions.items():
            if self.space.is_active(name, params):
                params[name] = choice_at(distribution, int(self[name].argmax()))
        return Architecture(self.space.name, params)

    def require_fit(self, space: SearchSpace) -> None:
        """Raise a ValueError if ``space`` has another name, or other choices of a decision.

        A sub-space (:meth:`SearchSpace.freeze`) keeps the name but not all choices.
        """
        if self.space.name != space.name:
            raise ValueError(
                f"Expected argument `prior` to be of search space `{space.name}` "
                f"but got one of `{self.space.name}`."
            )
        for name in self._probabilities:
            own, other = self.space.distributions[name], space.distributions.get(name)
            if other != own:
                raise ValueError(
                    f"Expected argument `prior` to have the choices of decision `{name}` of the "
                    f"search space ({other}) but got {own}."
                )

    def to_json(self) -> str:
        """Return the JSON form."""
        return json.dumps(
            {
                "space": self.space.name,
                "floor": self.floor,
                "probabilities": {k: v.tolist() for k, v in self._probabilities.items()},
            }
        )

    @classmethod
    def from_json(cls, space: SearchSpace, text: str) -> Prior:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: If ``text`` is malformed or of another space.
        """
        try:
            data: Any = json.loads(text)
            name, probabilities = data["space"], dict(data["probabilities"])
            floor = float(data["floor"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            raise ValueError(
                'Expected argument `text` to be a JSON object with "space", "floor" and '
                f'"probabilities" but got {text[:100]!r}.'
            ) from None
        if name != space.name:
            raise ValueError(
                f"Expected argument `text` to be a prior of search space `{space.name}` "
                f"but got one of `{name}`."
            )
        return cls(space, probabilities, floor=floor)
