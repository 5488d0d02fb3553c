"""The supernet of mobile networks: the largest one, of which each architecture is a part."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from lightning_modules.spaces.mobile.network import build_mobile_backbone
from lightning_modules.spaces.mobile.supernet_backbone import ElasticBackbone
from lightning_modules.supernet._elastic import part_of
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


class MobileSupernet(Supernet):
    """The supernet of a :class:`~optuna_nas.MobileSpace`; its gates are the decisions.

    There is one set of weights, those of the largest network, and a path takes the first channels
    of each layer, the middle of each kernel and the first blocks of each stage (Cai et al.,
    Once-for-All, ICLR 2020, section 3.3; Yu et al., BigNAS, ECCV 2020, section 3). The matrices by
    which Once-for-All transforms the middle of a kernel are left out, as in BigNAS. Blocks that a
    depth coefficient repeats have weights of their own.

    Gates of decisions that are not active are ignored. Several choices can be active at once in
    the gates of :attr:`mixable`; :class:`ElasticBlock` tells how the choices of a block are mixed.
    Besides, a depth is mixed as the weighted sum of the stage's outputs after each number of
    blocks, widths of stem, stages and head as weighted channels (FBNetV2, Wan et al., CVPR 2020,
    section 3), and ``mbconv`` and ``skip`` by weighting the block's branch. To what follows, a
    mixture of widths is as wide as its widest; a first block adds its input for the widths that
    equal that of its input.

    The weight of a single choice, which is 1 with a gradient, is multiplied with the branch of its
    block if the block adds its input to it. Elsewhere the next normalisation would undo it, so
    that its gradient would vanish: there, as for decisions outside of blocks, it is multiplied
    with the features before the head. Of ``skip``, which computes nothing, there is no
    gradient.

    Args:
        space: The search space, or a sub-space of it.
        task: It brings the head and the loss.
        input_shape: (channels, height, width) of an image.
        dropout: Probability of dropping a feature, in [0, 1).
        affine: Whether the normalisation of blocks has learned weights; see
            :class:`CellSupernet`.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        *,
        input_shape: tuple[int, int, int],
        dropout: float = 0.0,
        affine: bool = True,
    ) -> None:
        choices = {name: tuple(choices_of(dist)) for name, dist in space.distributions.items()}
        board = GateBoard()
        backbone = ElasticBackbone(
            choices, board, input_shape=input_shape, dropout=dropout, affine=affine
        )
        build = partial(build_mobile_backbone, input_shape=input_shape, dropout=dropout)
        super().__init__(space, backbone, choices, board, build, task)
        self._build_backbone = build
        self.mixable = frozenset(filter(_can_mix, choices))

    def path(self, architecture: Architecture) -> dict[str, Gate]:
        """Return a gate of one choice for each active decision."""
        return {
            name: Gate((self.choices[name].index(choice),))
            for name, choice in self.space.require_member(architecture).items()
        }

    def inherited_state(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the parts of the weights and statistics that the architecture takes."""
        self.space.require_member(architecture)
        with torch.device("meta"):
            own = self._build_backbone(architecture)
        held = self.network.get_submodule("backbone").state_dict()
        parts = {
            f"backbone.{name}": part_of(held[name], tensor.shape)
            for name, tensor in own.state_dict().items()
            if name in held
        }
        return parts | self.inherited_head(slice(own.n_features))


def _can_mix(name: str) -> bool:
    return not name.endswith(("style", "stride", "resolution", "coefficient"))
