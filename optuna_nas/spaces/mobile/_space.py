"""The staged space of inverted bottlenecks behind FBNet, MobileNetV3 and EfficientNet."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution

from optuna_nas.spaces._architecture import Architecture
from optuna_nas.spaces._architecture import Choice
from optuna_nas.spaces._encoding import path_graph
from optuna_nas.spaces._encoding import read_path_graph
from optuna_nas.spaces._space import SearchSpace
from optuna_nas.spaces.mobile import _published as published
from optuna_nas.spaces.mobile._graph import mobile_nodes
from optuna_nas.spaces.mobile._graph import read_mobile_nodes
from optuna_nas.spaces.mobile._graph import SCALING
from optuna_nas.spaces.mobile._plan import mobile_plan
from optuna_nas.spaces.mobile._stage import check_names
from optuna_nas.spaces.mobile._stage import check_numbers
from optuna_nas.spaces.mobile._stage import Condition
from optuna_nas.spaces.mobile._stage import MOBILE_STYLES
from optuna_nas.spaces.mobile._stage import MobileStage
from optuna_nas.spaces.mobile._text import read_mobile
from optuna_nas.spaces.mobile._text import stage_params
from optuna_nas.spaces.mobile._text import StageText
from optuna_nas.spaces.mobile._text import write_mobile


if TYPE_CHECKING:
    import networkx as nx


class MobileSpace(SearchSpace):
    """Stages of inverted bottlenecks (MBConv) between a stem and a head.

    The decisions of stage ``i`` are ``stage_i_depth``, ``stage_i_width`` and ``stage_i_stride``,
    those of its block ``j`` are ``stage_i_block_j_kernel``, ``_expansion``, ``_se`` (the ratio of
    squeeze-and-excitation, 0 for none) and ``_activation``, and before them ``_type`` (``mbconv``
    or ``skip``) where blocks may be skipped. They are active if the stage is deep enough and the
    block not skipped. Before the stages come ``style``, the decisions of compound scaling,
    ``stem_width`` and ``stem_stride``, and after them ``head_width``. What is not searched is a
    decision with one choice, so an architecture tells all that it takes to build it.

    The style stands for the parts that the papers do differently:

    - ``fbnet`` (Wu et al., CVPR 2019): ReLU in stem and head; also a block of expansion 1 begins
      with a 1x1 convolution; the head is a convolution of ``head_width`` and pooling.
    - ``mobilenet_v3`` (Howard et al., ICCV 2019): hard swish; squeeze-and-excitation relative to
      the hidden channels with a hard sigmoid; a convolution of six times the last width, pooling,
      and a linear layer of ``head_width``.
    - ``efficientnet`` (Tan & Le, ICML 2019): swish; squeeze-and-excitation relative to the block's
      input with a sigmoid; the head as in ``fbnet``.

    The string encoding joins style, stem, stages and head: ``k5e3se0.25_relu`` is a block of
    kernel size 5, expansion 3, squeeze-and-excitation ratio 0.25 (left out: none), and
    ``24s2(...)`` is a stage of width 24 and stride 2. Resolution and coefficients follow the
    style, as in ``efficientnet@240*w1.0*d1.1``.

    Args:
        stages: The stages; by default those of :meth:`small`.
        styles: Candidate styles, of :data:`~optuna_nas.spaces.MOBILE_STYLES`.
        stem_widths: Candidate channels of the first convolution.
        stem_strides: Candidate strides of it, of 1 and 2.
        head_widths: Candidate widths of the head.
        resolutions: Candidate heights and widths to which the network resizes its images; by
            default they are taken as they are, and there is no such decision.
        width_coefficients: Candidate factors of all widths, rounded to multiples of 8 (Tan & Le,
            ICML 2019, equation 3); by default there is no such decision, as for the next.
        depth_coefficients: Candidate factors of the depth of each stage, rounded up; the last
            block is repeated.
        reference: The string of the published architecture, which :meth:`reference` returns.

    Raises:
        ValueError: If an argument is empty or has a candidate that is out of range.

    Example:

        >>> space = MobileSpace()
        >>> text = (
        ...     "mobilenet_v3|stem16s1|16s1(k3e2_relu)|32s2(k5e4se0.25_hswish,k3e2_relu)"
        ...     "|64s2(k3e4_hswish)|head128"
        ... )
        >>> architecture = space.from_string(text)
        >>> architecture["stage_2_depth"], architecture["stage_2_block_1_kernel"]
        (2, 5)
        >>> space.to_string(architecture) == text
        True
    """

    def __init__(
        self,
        stages: Sequence[MobileStage] | None = None,
        *,
        styles: Sequence[str] = ("mobilenet_v3",),
        stem_widths: Sequence[int] = (16,),
        stem_strides: Sequence[int] = (1,),
        head_widths: Sequence[int] = (128,),
        resolutions: Sequence[int] = (),
        width_coefficients: Sequence[float] = (),
        depth_coefficients: Sequence[float] = (),
        reference: str | None = None,
    ) -> None:
        self.stages = tuple(published.small_stages(3, 3) if stages is None else stages)
        if not self.stages:
            raise ValueError(f"Expected argument `stages` to be stages but got {stages!r}.")
        check_names("styles", styles, MOBILE_STYLES)
        check_numbers("stem_widths", stem_widths, whole=True)
        check_numbers("stem_strides", stem_strides, whole=True)
        check_numbers("head_widths", head_widths, whole=True)
        if not set(stem_strides) <= {1, 2}:
            raise ValueError(
                f"Expected argument `stem_strides` to be 1 or 2 or both but got {stem_strides!r}."
            )
        first: dict[str, Sequence[Any]] = {"style": styles}
        for name, candidates in zip(
            SCALING, (resolutions, width_coefficients, depth_coefficients), strict=True
        ):
            if candidates:
                check_numbers(f"{name}s", candidates, whole=name == "resolution")
                first[name] = candidates
        first |= {"stem_width": stem_widths, "stem_stride": stem_strides}
        self._distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(tuple(candidates)) for name, candidates in first.items()
        }
        self._conditions: dict[str, Condition] = {}
        for i, stage in enumerate(self.stages, start=1):
            self._distributions |= stage.decisions(i)
            self._conditions |= stage.conditions(i)
        self._distributions["head_width"] = CategoricalDistribution(tuple(head_widths))
        self._reference = reference

    @classmethod
    def small(cls, *, input_size: int = 32, n_stages: int = 3, max_depth: int = 3) -> MobileSpace:
        """Return a space for images of some 28 to 64 pixels that trains quickly on a CPU.

        Args:
            input_size: Height or width of an image; above 40 the stem has stride 2.
            n_stages: Number of stages, each of twice the width of the one before.
            max_depth: Largest number of blocks of a stage.
        """
        stem_stride = 2 if input_size > 40 else 1
        return cls(published.small_stages(n_stages, max_depth), stem_strides=(stem_stride,))

    @classmethod
    def fbnet(cls) -> MobileSpace:
        """Return the space of FBNet (Wu et al., CVPR 2019, tables 1 and 2) around FBNet-C.

        Two of the nine candidates of table 2, with grouped 1x1 convolutions, are left out, and the
        first block of a stage is never skipped. The head is the one of the published FBNet-C.
        """
        return cls(
            published.fbnet_stages(),
            styles=("fbnet",),
            stem_strides=(2,),
            head_widths=(1984,),
            reference=published.FBNET_C,
        )

    @classmethod
    def mobilenet_v3(cls) -> MobileSpace:
        """Return a space around MobileNetV3-Large (Howard et al., ICCV 2019, table 1)."""
        return cls(
            published.mobilenet_v3_stages(),
            stem_strides=(2,),
            head_widths=(1280,),
            reference=published.MOBILENET_V3_LARGE,
        )

    @classmethod
    def efficientnet(cls, *, scaling: bool = False) -> MobileSpace:
        """Return a space around EfficientNet-B0 (Tan & Le, ICML 2019, table 1).

        Args:
            scaling: Whether resolution, width and depth coefficient are decisions, with the
                values of B0 to B7 (:data:`~optuna_nas.spaces.EFFICIENTNET_SCALING`).
        """
        widths, depths, resolutions = zip(*published.EFFICIENTNET_SCALING.values(), strict=True)
        reference = published.EFFICIENTNET_B0
        if scaling:
            reference = reference.replace("efficientnet", "efficientnet@224*w1.0*d1.0")
        return cls(
            published.efficientnet_stages(),
            styles=("efficientnet",),
            stem_widths=(32,),
            stem_strides=(2,),
            head_widths=(1280,),
            resolutions=resolutions if scaling else (),
            width_coefficients=tuple(dict.fromkeys(widths)) if scaling else (),
            depth_coefficients=depths if scaling else (),
            reference=reference,
        )

    def reference(self) -> Architecture:
        """Return the published architecture of a preset.

        Raises:
            ValueError: If the space has none.
        """
        if self._reference is None:
            raise ValueError(
                "Expected a preset with a published architecture (fbnet, mobilenet_v3, "
                "efficientnet) but got a space of your own."
            )
        return self.from_string(self._reference)

    @property
    def name(self) -> str:
        return "mobile"

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        return MappingProxyType(self._distributions)

    def is_active(self, name: str, params: Mapping[str, Choice]) -> bool:
        condition = self._conditions.get(name)
        if condition is None:
            return True
        depth, block, kind = condition
        return int(params[depth]) >= block and (kind is None or params[kind] == "mbconv")

    def to_string(self, architecture: Architecture) -> str:
        """Return e.g. ``fbnet|stem16s2|16s1(k3e1_relu)|24s2(k3e6_relu,skip)|head1984``."""
        return write_mobile(self.require_member(architecture))

    def from_string(self, text: str) -> Architecture:
        """Read the string encoding.

        Raises:
            ValueError: If a part is malformed or not a choice of the space.
        """
        outside, stages = read_mobile(text)
        if not set(outside) <= set(self._distributions):
            raise ValueError(
                "Expected argument `text` to have no resolution or coefficient that is no "
                f"decision of the space but got {text!r}."
            )
        return self._from_stages(outside, stages, f"argument `text` ({text!r})")

    def _from_stages(
        self, outside: Mapping[str, Any], stages: Sequence[StageText], what: str
    ) -> Architecture:
        if len(stages) != len(self.stages):
            raise ValueError(
                f"Expected {len(self.stages)} stages in {what} but got {len(stages)}."
            )
        params = stage_params(outside, stages)
        for name, choice in params.items():
            if name.endswith("_type") and name not in self._distributions and choice != "mbconv":
                raise ValueError(f"Expected no skipped block `{name[:-5]}` in {what}.")
        return self.architecture(params)

    def to_graph(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """Return the chain of stem, blocks and head; nodes have ``operation`` and choices."""
        member = self.require_member(architecture)
        return path_graph(self.name, mobile_nodes(member))

    def from_graph(self, graph: nx.DiGraph[Any]) -> Architecture:
        """Read the graph encoding."""
        nodes = read_path_graph(graph)
        outside, stages = read_mobile_nodes(nodes)
        architecture = self._from_stages(outside, stages, "argument `graph`")
        if any(
            node | e != node for node, e in zip(nodes, mobile_nodes(architecture), strict=True)
        ):
            raise ValueError(
                "Expected argument `graph` to have nodes of a stem, blocks by stage and a head "
                f"but got {nodes}."
            )
        return architecture

    def canonical_key(self, architecture: Architecture) -> str:
        """Return all sizes of the network that is built.

        Equal keys are equal networks up to the names of modules: skipped blocks drop out, so that
        a skipped block equals a stage without it, and decisions that rounding makes equal are
        equal.
        """
        return mobile_plan(self.require_member(architecture)).key
