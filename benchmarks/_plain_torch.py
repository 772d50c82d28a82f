"""U-Net1 and U-Net-VGG16 as one would write them in PyTorch, channels-last: what `benchmarks.training` compares with.

The same layers, sizes, initial learning rate and loss as ours. The file needs requirements.txt of this folder; its name
begins with an underscore since it measures nothing by itself.
"""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3  # Keras' own
MOMENTUM = 0.05  # PyTorch counts the new value's share, Keras the old one's


class ConvBlock(nn.Sequential):
    """3×3 convolutions in a row, each with batch normalisation or a bias, and ReLU."""

    def __init__(self, channels: int, filters: int, *, convolutions: int = 2, batch_norm: bool = True) -> None:
        parts: list[nn.Module] = []
        for _ in range(convolutions):
            parts.append(nn.Conv2d(channels, filters, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                parts.append(nn.BatchNorm2d(filters, eps=EPSILON, momentum=MOMENTUM))
            parts.append(nn.ReLU(inplace=True))
            channels = filters
        super().__init__(*parts)


class UNet(nn.Module):
    """The way down with max-pooling, the way up with nearest-neighbour upsampling and skip connections."""

    def __init__(self, encoder: Sequence[ConvBlock], filters: Sequence[int], decoder: Sequence[int], classes: int):
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        blocks = []
        channels = filters[-1]
        for wanted, skipped in zip(decoder, filters[-2::-1], strict=True):
            blocks.append(ConvBlock(channels + skipped, wanted))
            channels = wanted
        self.decoder = nn.ModuleList(blocks)
        self.logits = nn.Conv2d(channels, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, h, w) → logits (N, classes, h, w) float32."""
        features = []
        for level, block in enumerate(self.encoder):
            x = block(functional.max_pool2d(x, 2) if level else x)
            features.append(x)
        for block, skipped in zip(self.decoder, features[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, skipped], dim=1))
        with torch.autocast("cpu", enabled=False):
            return self.logits(x.float())


def unet1(classes: int = 4) -> UNet:
    """Six levels, batch normalisation everywhere."""
    filters = (32, 32, 64, 128, 128, 128)
    encoder = [ConvBlock(c, f) for c, f in zip((1, *filters), filters, strict=False)]
    return UNet(encoder, filters, (128, 128, 64, 32, 16), classes)


def unet_vgg16(classes: int = 4) -> UNet:
    """VGG16's thirteen convolutions as the way down."""
    filters, convolutions = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3)
    encoder = [
        ConvBlock(c, f, convolutions=n, batch_norm=False)
        for c, f, n in zip((1, *filters), filters, convolutions, strict=False)
    ]
    return UNet([*encoder, ConvBlock(512, 512)], (*filters, 512), (256, 128, 64, 32, 16), classes)


NETWORKS = {"unet1": unet1, "unet_vgg16": unet_vgg16}


def step_seconds(
    name: str,
    precision: str,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    seconds: float,
    least: int,
) -> tuple[list[float], int]:
    """Times of training steps: forward, cross-entropy, backward, Adam.

    Args:
        name: a key of `NETWORKS`.
        precision: `float32`, or `mixed_bfloat16`: PyTorch's autocast.
        images: (N, h, w, 1).
        labels: (N, h, w) class of each pixel.
        seconds: how long to measure, after two steps that warm up.
        least: steps to measure at least.

    Returns:
        Seconds of each step, and the number of trainable parameters.
    """
    torch.manual_seed(0)
    network = NETWORKS[name]().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            logits = network(x)
        loss = functional.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(2):
        step()
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return times, sum(parameter.numel() for parameter in network.parameters())
