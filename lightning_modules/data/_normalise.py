"""Mean and standard deviation of each channel, and images shifted and scaled by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_modules.data._picture_files import PictureFiles


MAX_SAMPLE = 5000
"""Most pictures in files that are decoded for the statistics."""

_SAMPLE_SEED = 20240518


@dataclass(frozen=True)
class Normaliser:
    """Shifts each channel by ``mean`` and divides it by ``std``, both of shape ``(channels,)``."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return new float32 images; uint8 is scaled to [0, 1] before."""
        if images.dtype == torch.uint8:
            scaled = images.float().div_(255)
            return scaled.sub_(self.mean[:, None, None]).div_(self.std[:, None, None])
        return (images - self.mean[:, None, None]).div_(self.std[:, None, None])


def measure(inputs: Tensor | PictureFiles) -> Normaliser:
    """Measure mean and standard deviation of each channel, of uint8 after scaling to [0, 1].

    Of more than :data:`MAX_SAMPLE` pictures in files a fixed random choice of so many is decoded;
    those that cannot be read are left out.
    """
    if isinstance(inputs, Tensor) and inputs.dtype == torch.float32:
        std, mean = torch.std_mean(inputs, dim=(0, 2, 3), correction=0)
    else:
        std, mean = _std_mean_of_bytes(inputs)
    # A constant channel has a deviation of nothing but rounding errors.
    std = torch.where(std > 1e-6 * mean.abs(), std, torch.ones_like(std))
    return Normaliser(mean, std)


def _std_mean_of_bytes(inputs: Tensor | PictureFiles) -> tuple[Tensor, Tensor]:
    # Counts are exact, whatever the order, and ten times faster than sums of squares.
    counts = torch.zeros(inputs.shape[1], 256, dtype=torch.int64)
    for image in _images(inputs):
        for channel, pixels in enumerate(image):
            counts[channel] += torch.bincount(pixels.flatten(), minlength=256)
    weights = counts.double() / counts.sum(dim=1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = weights @ values
    variance = (weights * (values - mean[:, None]).square()).sum(dim=1)
    return variance.sqrt().float(), mean.float()


def _images(inputs: Tensor | PictureFiles) -> Iterator[Tensor]:
    if isinstance(inputs, Tensor):
        yield from inputs
        return
    if len(inputs) > MAX_SAMPLE:
        # RandomState, as NumPy promises its stream to stay the same in all versions to come.
        order = np.random.RandomState(_SAMPLE_SEED).permutation(len(inputs))
        inputs = inputs[torch.from_numpy(np.sort(order[:MAX_SAMPLE]))]
    for _, pixels in inputs.decode("measuring pictures"):
        yield torch.from_numpy(pixels)
