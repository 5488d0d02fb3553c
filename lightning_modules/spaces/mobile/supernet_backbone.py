"""The backbone of inverted bottlenecks of which gates choose a part."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.backbone import Backbone
from lightning_modules.spaces.mobile.network import MobileBackbone
from lightning_modules.spaces.mobile.network import Resize
from lightning_modules.spaces.mobile.supernet_block import BlockOptions
from lightning_modules.spaces.mobile.supernet_block import ElasticBlock
from lightning_modules.spaces.mobile.supernet_sizes import count_stages
from lightning_modules.spaces.mobile.supernet_sizes import largest_plan
from lightning_modules.spaces.mobile.supernet_sizes import sources
from lightning_modules.supernet._elastic import activate
from lightning_modules.supernet._elastic import ActiveChoices
from lightning_modules.supernet._elastic import convolve
from lightning_modules.supernet._elastic import masked
from lightning_modules.supernet._elastic import mixed
from lightning_modules.supernet._elastic import normalise
from lightning_modules.supernet._elastic import Options
from lightning_modules.supernet._elastic import single_weight
from lightning_modules.supernet._elastic import summed
from lightning_modules.supernet._elastic import times
from lightning_modules.supernet._elastic import transform
from lightning_modules.supernet._elastic import widen
from lightning_modules.supernet._elastic import widest
from lightning_modules.supernet._gates import GateBoard
from optuna_nas.spaces import Choice
from optuna_nas.spaces import MobilePlan
from optuna_nas.spaces.mobile import round_width


class ElasticBackbone(MobileBackbone):
    """A :class:`MobileBackbone` of the largest sizes; a pass computes the part the gates choose.

    The feature vector is as long as the longest, and ends with zeros where a path has fewer
    features. There are no feature maps, as their channels and strides depend on the path.

    Args:
        choices: The choices of each decision.
        board: Where the gates are.
        input_shape: (channels, height, width) of an image.
        dropout: Probability of dropping a feature, in [0, 1).
        affine: Whether the blocks' normalisation has learned weights.
    """

    def __init__(
        self,
        choices: Mapping[str, tuple[Choice, ...]],
        board: GateBoard,
        *,
        input_shape: tuple[int, int, int],
        dropout: float,
        affine: bool,
    ) -> None:
        super().__init__(
            largest_plan(choices),
            input_shape=input_shape,
            dropout=dropout,
            make_block=ElasticBlock,
        )
        self.maps = ()
        self.dropout = dropout
        self._choices = choices
        self._board = board
        self._n_stages = count_stages(choices)
        if not affine:
            for module in self.blocks.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.affine = False
                    module.register_parameter("weight", None)
                    module.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        return _Pass(self, ActiveChoices(self._board.gates, self._choices), self._n_stages)(x)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        return Backbone.feature_maps(self, x)


class _Pass:
    """One forward pass."""

    def __init__(self, backbone: ElasticBackbone, active: ActiveChoices, n_stages: int) -> None:
        self.backbone = backbone
        self.active = active
        self.n_stages = n_stages
        self.style = str(active.one("style"))
        self.coefficient = float(active.one("width_coefficient", 1))
        self.depth_coefficient = float(active.one("depth_coefficient", 1))
        # What stem and last layers are made of depends on the style alone.
        plan = MobilePlan(self.style, None, 0, 1, (), 0, 0)
        self.activation: Options = [(plan.activation, None)]

    def __call__(self, x: Tensor) -> Tensor:
        resolution = self.active.one("resolution")
        x = self._stem(x if resolution is None else Resize(resolution)(x))
        for stage in range(1, self.n_stages + 1):
            x = self._stage(stage, x)
        features = self._last(x)
        for weight in self.active.carried:
            features = times(features, weight)
        return widen(features, self.backbone.n_features)

    def _widths(self, name: str) -> Options:
        """Return the active channels of a decision on a width, and carry a single weight."""
        options = self.active.options(name)
        self.active.carry(single_weight(options))
        return [(round_width(width, self.coefficient), weight) for width, weight in options]

    def _conv(self, name: str, x: Tensor, channels: int, stride: int = 1) -> Tensor:
        """Return a convolution of stem or last layers, normalised and with its activation."""
        layers = self.backbone.get_submodule(name)
        y = convolve(layers.get_submodule("conv"), x, channels, stride=stride)
        return activate(normalise(layers.get_submodule("norm"), y), self.activation)

    def _stem(self, x: Tensor) -> Tensor:
        widths, stride = self._widths("stem_width"), self.active.one("stem_stride")
        return masked(self._conv("stem", x, widest(widths), stride), widths)

    def _stage(self, stage: int, x: Tensor) -> Tensor:
        """Return the output of a stage, mixed over its active depths."""
        depths = self.active.options(f"stage_{stage}_depth")
        self.active.carry(single_weight(depths))
        widths = self._widths(f"stage_{stage}_width")
        stride = self.active.one(f"stage_{stage}_stride")
        # Depths share their first blocks, as long as the same decisions are behind them.
        done: dict[tuple[int, ...], Tensor] = {(): x}
        parts: list[tuple[Tensor, Tensor | None]] = []
        for depth, weight in depths:
            path: tuple[int, ...] = ()
            for source in sources(depth, self.depth_coefficient):
                before, path = done[path], (*path, source)
                if path not in done:
                    done[path] = self._block(stage, path, before, widths, stride)
            parts.append((done[path], weight))
        return mixed(parts)

    def _block(
        self, stage: int, path: tuple[int, ...], x: Tensor, widths: Options, stride: int
    ) -> Tensor:
        """Return the output of block number ``len(path)``, that block ``path[-1]`` decides on."""
        decisions, first = f"stage_{stage}_block_{path[-1]}", len(path) == 1
        types: dict[str, Tensor | None] = {"mbconv": None}
        if f"{decisions}_type" in self.active:
            types = dict(self.active.options(f"{decisions}_type"))
        if "mbconv" not in types:
            return x
        kernels, expansions, ratios, activations = (
            self.active.options(f"{decisions}_{part}")
            for part in ("kernel", "expansion", "se", "activation")
        )
        options = BlockOptions(
            self.style,
            stride if first else 1,
            widths,
            kernels,
            expansions,
            ratios,
            activations,
        )
        block = self.backbone.blocks.get_submodule(f"stage_{stage}_block_{len(path)}")
        branch = times(block(x, options), types["mbconv"])
        if not first:
            return x + times(branch, options.weight)
        return self._joined(x, branch, options)

    def _joined(self, x: Tensor, branch: Tensor, options: BlockOptions) -> Tensor:
        """Return the output of the first block of a stage, which may have no residual."""
        same = [weight for width, weight in options.widths if width == x.shape[1]]
        if options.stride > 1 or not same:
            self.active.carry(options.weight)
            return branch
        several = len(options.widths) > 1
        residual = summed([times(x, weight) for weight in same]) if several else x
        return widen(residual, branch.shape[1]) + times(branch, options.weight)

    def _last(self, x: Tensor) -> Tensor:
        """Return the features, of shape (batch, features of the widest active width)."""
        widths = self._widths("head_width")
        late = self.style == "mobilenet_v3"
        y = self._conv("last.conv", x, 6 * x.shape[1] if late else widest(widths))
        features = F.adaptive_avg_pool2d(y, 1).flatten(1)
        if late:
            linear = self.backbone.get_submodule("last.linear")
            features = activate(transform(linear, features, widest(widths)), self.activation)
        features = masked(features, widths)
        return F.dropout(features, self.backbone.dropout, self.backbone.training)
