"""The kit of a search space: all that this package knows of one space, in one place."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from torch import nn

from lightning_modules.backbone import Build
from lightning_modules.registries import SPACES
from optuna_nas.spaces import Architecture
from optuna_nas.spaces import SearchSpace


if TYPE_CHECKING:
    from lightning_modules.costs.latency_terms import Term
    from lightning_modules.supernet import Supernet


@dataclass(frozen=True, eq=False)
class Kit:
    """A search space, its networks, and what else there is for it.

    One object in a file of its own is all that a new space needs::

        KIT = Kit(MySpace, build_my_backbone, small={"channels": 8})

    Args:
        make_space: Makes the search space, with its defaults.
        backbone: ``backbone(architecture, input_shape=..., **sizes)`` makes a
            :class:`~lightning_modules.Backbone`; the task adds the head. It may also return a
            whole network for one task.
        small: Sizes of networks that train quickly on a CPU, for a first search. Their names are
            the sizes that ``--network`` changes.
        latency_terms: ``latency_terms(distributions, input_shape=..., task=..., **sizes)`` returns
            what the latency of a network is a sum of; see
            :class:`~lightning_modules.costs.LatencyTable`.
        supernet: ``supernet(space, task, input_shape=..., **sizes)`` makes the supernet.
        facts: Attributes of the data module that ``backbone`` takes by these names, in plain
            types, e.g. the shape of a sample.
        training: ``training(architecture)`` returns arguments of
            :class:`~lightning_modules.TaskModule` that the architecture decides, e.g. its learning
            rate.
        marks: A text that stands in all strings of architectures of this space and in those of
            few others; see :func:`read_architecture`.
    """

    make_space: Callable[[], SearchSpace]
    backbone: Callable[..., nn.Module]
    small: Mapping[str, Any] = field(default_factory=dict)
    latency_terms: Callable[..., list[Term]] | None = None
    supernet: Callable[..., Supernet] | None = None
    facts: Sequence[str] = ("input_shape",)
    training: Callable[[Architecture], Mapping[str, Any]] | None = None
    marks: str = ""

    def builder(self, **arguments: Any) -> Build:
        """Return the function from an architecture to its backbone.

        Args:
            arguments: Facts of the data and sizes. A space that builds its networks itself, see
                :func:`as_kit`, takes none, and they are ignored.
        """
        if isinstance(self.backbone, _OwnBuild):
            return self.backbone.build
        return KitBuild(self.backbone, arguments, self.training)

    def facts_of(self, datamodule: pl.LightningDataModule) -> dict[str, Any]:
        """Return the facts that ``backbone`` takes of a data module, which has been set up.

        Raises:
            ValueError: If the data module does not have them.
        """
        found: dict[str, Any] = {}
        for name in () if self.builds_itself else self.facts:
            value = getattr(datamodule, name, None)
            if value is None:
                raise ValueError(
                    f"Expected argument `datamodule` to have the attribute `{name}`, which the "
                    f"networks of the space are made for, but got {type(datamodule).__name__}."
                )
            found[name] = value
        return found

    @property
    def builds_itself(self) -> bool:
        """Whether the search space makes its networks itself, whatever the data is."""
        return isinstance(self.backbone, _OwnBuild)


@dataclass(frozen=True)
class KitBuild:
    """The function from an architecture to its backbone.

    Args:
        backbone: Of the kit.
        arguments: Facts of the data and sizes.
        training: Of the kit.
    """

    backbone: Callable[..., nn.Module]
    arguments: Mapping[str, Any]
    training: Callable[[Architecture], Mapping[str, Any]] | None = None

    def __call__(self, architecture: Architecture) -> nn.Module:
        """Return a new backbone."""
        return self.backbone(architecture, **self.arguments)


@dataclass(frozen=True)
class _OwnBuild:
    """The method ``build`` of a search space, from an architecture to a network."""

    build: Build

    def __call__(self, architecture: Architecture, **_: Any) -> nn.Module:
        return self.build(architecture)


def is_kit(value: Any) -> bool:
    """Tell whether a value is a kit, a search space, or a class of search spaces."""
    if isinstance(value, type):
        return issubclass(value, SearchSpace)
    return isinstance(value, Kit | SearchSpace)


def as_kit(space: str | SearchSpace | Kit, *, argument: str = "space") -> Kit:
    """Return the kit of a space.

    Args:
        space: A kit; a name, see :data:`~lightning_modules.registries.SPACES`; or a search space:
            one with a method ``build`` makes its own networks, others are known by their name.
        argument: What the user calls the argument.

    Raises:
        ValueError: If there is none.
    """
    found: Any = SPACES.get(space, argument=argument) if isinstance(space, str) else space
    if isinstance(found, Kit):
        return found
    made: SearchSpace = found() if isinstance(found, type) else found
    build = getattr(made, "build", None)
    if callable(build):
        return Kit(_Made(made), _OwnBuild(build))
    known: Any = SPACES.get(made.name) if made.name in SPACES else None
    if not isinstance(known, Kit):
        raise ValueError(
            f"Expected argument `{argument}` to be of {', '.join(SPACES)}, a kit, or a search "
            f"space with a method `build` but got one of {made.name!r}."
        )
    return replace(known, make_space=_Made(made))


@dataclass(frozen=True)
class _Made:
    """Makes a search space that is there already."""

    space: SearchSpace

    def __call__(self) -> SearchSpace:
        return self.space


def read_architecture(text: str) -> tuple[str, SearchSpace, Architecture]:
    """Read the string of an architecture in the first space with a name that can.

    Only the spaces whose marks stand in the string are tried; where there are none, those without
    marks. A space comes before its variations, which have its name in :class:`SearchSpace`.

    Returns:
        The name, the search space and the architecture.

    Raises:
        ValueError: If none can; the sentence says why not in the likeliest space.

    Example:

        >>> name, space, architecture = read_architecture("C-S-O")
        >>> name, space.to_string(architecture)
        ('chain', 'C16k3-Smax2-O64')
    """
    kits = {name: as_kit(name) for name in SPACES}
    marked = [name for name, kit in kits.items() if kit.marks and kit.marks in text]
    likely = marked or [name for name, kit in kits.items() if not kit.marks]
    spaces = {name: kits[name].make_space() for name in likely}
    problems = []
    for name, space in sorted(spaces.items(), key=lambda item: item[0] != item[1].name):
        try:
            return name, space, space.from_string(text)
        except ValueError as error:
            problems.append(f"As an architecture of the space {name}: {error}")
    raise ValueError(
        "Expected argument `architecture` to be the string of an architecture but got "
        f"{text!r}. {problems[0] if problems else ''}".rstrip()
    )
