"""The supernet of chains: layers of the largest width and kernel, of which a path takes parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn
from torch import Tensor

from lightning_modules.backbone import Backbone
from lightning_modules.backbone import check_input_shape
from lightning_modules.spaces.chain.network import build_chain_backbone
from lightning_modules.spaces.chain.supernet_layers import ChainDense
from lightning_modules.spaces.chain.supernet_layers import ChainLayer
from lightning_modules.spaces.chain.supernet_layers import Choices
from lightning_modules.supernet._gates import Gate
from lightning_modules.supernet._gates import GateBoard
from lightning_modules.supernet._supernet import Supernet
from lightning_modules.tasks import Task
from optuna_nas import Architecture
from optuna_nas.spaces import chain_layers
from optuna_nas.spaces import choices_of
from optuna_nas.spaces import SearchSpace


class ChainSupernet(Supernet):
    """The supernet of a :class:`~optuna_nas.ChainSpace`; the gates are the decisions.

    All choices share weights (Single-Path NAS, Stamoulis et al., 2019, arXiv:1904.02877, section
    2; OFA, Cai et al., ICLR 2020, section 3.3). A convolution takes the first filters and the
    centre of the largest kernel, a fully connected layer the first units. The first of them, which
    sees the places of a map, has weights for each height and width that the map can have. The
    feature vector has places for the pooled map and for units, so that the task needs one head.

    Several choices of a gate are mixed:

    - of a depth, by the feature vectors of networks that end there;
    - of kernel sizes, by the convolutions in front of the normalisation;
    - of filters or units, by the outputs, zeros where a choice has no channel (FBNetV2, Wan et
      al., CVPR 2020, section 3.2);
    - of poolings, by the outputs.

    The type of a layer and the size of a pooling change the shape of all that follows, so they are
    not :attr:`mixable`. The weight of a single choice multiplies the features: in front of a batch
    normalisation it would have no effect and no gradient.

    Args:
        space: The search space, or a sub-space of it.
        task: It brings the head and the loss.
        input_shape: (channels, height, width) of an image.
        affine: Whether the normalisation has learned weights.

    Raises:
        ValueError: If a number is less than 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        *,
        input_shape: tuple[int, int, int],
        affine: bool = True,
    ) -> None:
        check_input_shape(input_shape)
        board = GateBoard()
        choices = {name: tuple(choices_of(dist)) for name, dist in space.distributions.items()}
        backbone = _ChainSuperBackbone(choices, board, input_shape, affine)
        build = partial(build_chain_backbone, input_shape=input_shape)
        super().__init__(space, backbone, choices, board, build, task)
        self.mixable = frozenset(n for n in choices if not n.endswith(("_type", "_pool_size")))
        self._input_shape = input_shape

    def path(self, architecture: Architecture) -> dict[str, Gate]:
        """Return gates of one choice for active decisions, and of none for the others."""
        member = self.space.require_member(architecture)
        return {
            name: Gate((choices.index(member[name]),) if name in member else ())
            for name, choices in self.choices.items()
        }

    def inherited_state(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return the parts of the weights; those of the first dense layer are a copy."""
        self.space.require_member(architecture)
        backbone = self.network.get_submodule("backbone")
        assert isinstance(backbone, _ChainSuperBackbone)
        layers = chain_layers(architecture)
        inherited: dict[str, Tensor] = {}
        channels, height, width = self._input_shape
        units: list[int] = [layer["units"] for layer in layers if layer["type"] == "dense"]
        for number, layer in enumerate(layers[: len(layers) - len(units)], start=1):
            if layer["type"] == "pool":
                size = layer["pool_size"]
                height, width = -(-height // size), -(-width // size)
                continue
            part: Any = backbone.layers[f"layer_{number}"]
            place, filters = f"features.layer_{number}", layer["filters"]
            kernel = part.kernel(filters, channels, layer["kernel_size"])
            inherited[f"{place}.conv.weight"] = kernel.detach()
            for name, tensor in part.norm.state_dict().items():
                inherited[f"{place}.norm.{name}"] = tensor[:filters] if tensor.ndim else tensor
            channels = filters
        shape: Sequence[int] = (channels, height, width)
        for number, width in enumerate(units, start=1):
            weight, bias = backbone.dense.weights(number, width, shape)
            inherited[f"dense.dense_{number}.weight"] = weight.detach()
            inherited[f"dense.dense_{number}.bias"] = bias.detach()
            shape = (width,)
        columns = backbone.dense.columns(len(units), shape[0])
        whole = {f"backbone.{name}": tensor for name, tensor in inherited.items()}
        return whole | self.inherited_head(columns)


class _ChainSuperBackbone(Backbone):
    """All layers, and the fully connected ones, which can follow each of them."""

    def __init__(
        self,
        choices: Choices,
        board: GateBoard,
        input_shape: tuple[int, int, int],
        affine: bool,
    ) -> None:
        super().__init__()
        self._depths = tuple(map(int, choices["depth"]))
        self._board = board
        self.layers = nn.ModuleDict()
        channels = input_shape[0]
        sizes, ends = {input_shape[1:]}, set[tuple[int, int]]()
        for number in range(1, max(self._depths) + 1):
            prefix = f"layer_{number}"
            self.layers[prefix] = ChainLayer(number, choices, board, channels, affine)
            types = choices[f"{prefix}_type"]
            if "conv" in types:
                channels = max(channels, *map(int, choices[f"{prefix}_filters"]))
            divisors = [1] * ("conv" in types)
            divisors += [int(size) for size in choices[f"{prefix}_pool_size"] if "pool" in types]
            sizes = {(-(-h // d), -(-w // d)) for h, w in sizes for d in divisors}
            if number in self._depths:
                ends |= sizes
        self.dense = ChainDense(choices, board, channels, sorted(ends))
        self.n_features = self.dense.n_features

    def forward(self, images: Tensor) -> Tensor:
        gate = self._board.gates["depth"]
        weights = {self._depths[i]: k for k, i in enumerate(gate.active)}
        x, total = images, images.new_zeros(())
        factor: Tensor | float = 1.0
        for depth, layer in enumerate(self.layers.values(), start=1):
            if depth > max(weights):
                break
            x, own = layer(x)
            factor = factor * own
            if depth in weights:
                features = self.dense(x) * factor
                if gate.weights is not None:
                    features = features * gate.weights[weights[depth]]
                total = total + features
        return total
