"""The genotype: one frozen assignment of the active decisions of a search space."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
from typing import Any


Choice = str | int | float | bool
"""The value of one decision; what an Optuna distribution of a search space can hold."""


class Architecture(Mapping[str, Choice]):
    """One architecture: the name of its search space and a value for each active decision.

    It is a read-only mapping from decision to choice, hashable, and holds no weights. Search
    spaces make architectures (:meth:`~optuna_nas.SearchSpace.suggest`,
    :meth:`~optuna_nas.SearchSpace.sample`, :meth:`~optuna_nas.SearchSpace.from_string`); builders
    turn them into networks.

    Args:
        space: Name of the search space, e.g. ``"cell"``.
        params: A choice for every active decision, in the order of the space's decisions.
    """

    __slots__ = ("_hash", "_params", "_space")

    def __init__(self, space: str, params: Mapping[str, Choice]) -> None:
        self._space = space
        self._params = dict(params)
        self._hash = hash((space, frozenset(self._params.items())))

    @property
    def space(self) -> str:
        """The name of the search space."""
        return self._space

    def __getitem__(self, name: str) -> Choice:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self._space == other._space and self._params == other._params

    def __repr__(self) -> str:
        return f"Architecture({self.space!r}, {self._params!r})"

    def __reduce__(self) -> tuple[type[Architecture], tuple[str, dict[str, Choice]]]:
        return type(self), (self.space, self._params)  # The hash differs between processes.

    def to_json(self) -> str:
        """Return the JSON encoding, e.g. ``{"space": "cell", "params": {"edge_0_1": "none"}}``."""
        return json.dumps({"space": self.space, "params": self._params})

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read what :meth:`to_json` wrote, without asking a search space whether it is a member.

        Raises:
            ValueError: If ``text`` is not such a JSON object.
        """
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        valid = (
            isinstance(data, dict)
            and isinstance(data.get("space"), str)
            and isinstance(data.get("params"), dict)
            and all(isinstance(v, str | int | float) for v in data["params"].values())
        )
        if not valid:
            raise ValueError(
                'Expected argument `text` to be a JSON object with "space" and "params" '
                f"but got {text[:100]!r}."
            )
        return cls(data["space"], data["params"])
