"""The inverted bottleneck of which a path takes a slice, and mixtures of slices."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch import Tensor

from lightning_modules.spaces.mobile.network import InvertedBottleneck
from lightning_modules.spaces.mobile.supernet_sizes import sizes_of_block
from lightning_modules.supernet._elastic import activate
from lightning_modules.supernet._elastic import convolve
from lightning_modules.supernet._elastic import convolve_depthwise
from lightning_modules.supernet._elastic import masked
from lightning_modules.supernet._elastic import mixed
from lightning_modules.supernet._elastic import normalise
from lightning_modules.supernet._elastic import Options
from lightning_modules.supernet._elastic import single_weight
from lightning_modules.supernet._elastic import squeeze_excite
from lightning_modules.supernet._elastic import summed
from lightning_modules.supernet._elastic import times
from lightning_modules.supernet._elastic import weighted
from lightning_modules.supernet._elastic import widen
from lightning_modules.supernet._elastic import widest
from optuna_nas.spaces import MobileBlock


@dataclass(frozen=True)
class BlockOptions:
    """What is computed of a block.

    Args:
        style: Of :data:`~optuna_nas.spaces.MOBILE_STYLES`.
        stride: Stride of the depthwise convolution.
        widths: Active output channels.
        kernels: Active sizes of the kernel.
        expansions: Active expansions.
        ratios: Active ratios of the squeeze-and-excitation.
        activations: Active activations.
    """

    style: str
    stride: int
    widths: Options
    kernels: Options
    expansions: Options
    ratios: Options
    activations: Options

    @property
    def weight(self) -> Tensor | None:
        """The product of the weights of the single choices inside of the block."""
        return single_weight(self.kernels, self.expansions, self.ratios, self.activations)


class ElasticBlock(nn.Module):
    """The layers of an :class:`InvertedBottleneck` of the largest sizes, used in part.

    A mixture of several choices follows Wan et al. (CVPR 2020, section 3):

    - kernels: the weighted sum of the kernels, hence of what the convolution returns;
    - expansions: the hidden channels of each, weighted behind the depthwise convolution, as
      normalisation would undo a factor before it;
    - squeeze-and-excitation and activation: the weighted sum of the maps; the squeezed channels
      are those of the widest active expansion;
    - widths: the output channels of each, weighted.

    Args:
        block: The largest sizes.
        style: Ignored, as it is chosen in each pass.
    """

    def __init__(self, block: MobileBlock, style: str) -> None:
        super().__init__()
        self.layers = InvertedBottleneck(block, style).layers

    def forward(self, x: Tensor, options: BlockOptions) -> Tensor:
        """Map (batch, channels, h, w) to the branch's output, without the input added to it."""
        z = self._squeeze(self._hidden(x, options), x.shape[1], options)
        project = self.layers.get_submodule("project")
        y = convolve(project.get_submodule("conv"), z, widest(options.widths))
        return masked(normalise(project.get_submodule("norm"), y), options.widths)

    def _hidden(self, x: Tensor, options: BlockOptions) -> Tensor:
        """Return the weighted hidden channels behind the depthwise convolution."""
        expanded: list[tuple[int, Tensor | None]] = []
        parts: list[Tensor] = []
        several = len(options.expansions) > 1
        for expansion, weight in options.expansions:
            block = sizes_of_block(options.style, x.shape[1], expansion, 0)
            if block.expands:
                expanded.append((block.hidden, weight))
                continue
            z = self._depthwise(x, options)
            parts.append(times(z, weight) if several else z)
        if expanded:
            expand = self.layers.get_submodule("expand")
            h = convolve(expand.get_submodule("conv"), x, widest(expanded))
            h = activate(normalise(expand.get_submodule("norm"), h), options.activations)
            z = self._depthwise(h, options)
            parts.append(weighted(z, expanded) if several else z)
        n = max(part.shape[1] for part in parts)
        return summed([widen(part, n) for part in parts])

    def _depthwise(self, x: Tensor, options: BlockOptions) -> Tensor:
        depthwise = self.layers.get_submodule("depthwise")
        conv, norm = (depthwise.get_submodule(name) for name in ("conv", "norm"))
        y = convolve_depthwise(conv, x, options.kernels, stride=options.stride)
        return activate(normalise(norm, y), options.activations)

    def _squeeze(self, z: Tensor, channels: int, options: BlockOptions) -> Tensor:
        """Return the map weighted by squeeze-and-excitation."""
        parts: list[tuple[Tensor, Tensor | None]] = []
        for ratio, weight in options.ratios:
            if not ratio:
                parts.append((z, weight))
                continue
            squeeze = max(
                sizes_of_block(options.style, channels, expansion, ratio).squeeze
                for expansion, _ in options.expansions
            )
            layer = self.layers.get_submodule("se")
            parts.append((squeeze_excite(layer, z, squeeze, style=options.style), weight))
        return mixed(parts)
