"""The one U-shape. What varies between the papers' networks is passed in as functions."""

from collections.abc import Callable, Sequence

from keras import KerasTensor, layers

from models.blocks import Block, max_pool, upsample_nearest

Skip = Callable[[KerasTensor, KerasTensor], KerasTensor]
"""What happens to an encoder tensor on its way to the decoder: (encoder tensor, decoder tensor) → tensor."""


def pass_through(features: KerasTensor, _decoder: KerasTensor) -> KerasTensor:
    """The plain U-Net's skip connection: the encoder tensor as it is."""
    return features


def encode(
    x: KerasTensor, blocks: Sequence[Block], *, downsample: Callable[[str], Block] = max_pool
) -> list[KerasTensor]:
    """The way down: each block, with `downsample` between two.

    Args:
        x: (N, h, w, C).
        blocks: one per level, finest first.
        downsample: makes the part between two levels from its name (`down_1`, …).

    Returns:
        One tensor per level, finest first; the last is the bottom of the U.
    """
    features: list[KerasTensor] = []
    for level, block in enumerate(blocks):
        if level:
            x = downsample(f"down_{level}")(x)
        x = block(x)
        features.append(x)
    return features


def decode(
    features: Sequence[KerasTensor],
    blocks: Sequence[Block],
    *,
    upsample: Callable[[str], Block] = upsample_nearest,
    skip: Skip = pass_through,
) -> list[KerasTensor]:
    """The way up: upsample, join the skip connection of that level, block.

    Args:
        features: of `encode`, finest first.
        blocks: one per step up, coarsest first; as many as `features` has levels above the bottom, or more: the
            steps beyond the finest features have no skip connection.
        upsample: makes the part that doubles the grid from its name (`up_1`, …).
        skip: what happens to the encoder tensor before it is concatenated.

    Returns:
        The tensor after each block, coarsest first (deep supervision takes them all); the last is the finest.
    """
    x = features[-1]
    skips = list(features[-2::-1])
    outputs: list[KerasTensor] = []
    for step, block in enumerate(blocks, start=1):
        x = upsample(f"up_{step}")(x)
        if step <= len(skips):
            x = layers.Concatenate(name=f"join_{step}")([x, skip(skips[step - 1], x)])
        x = block(x)
        outputs.append(x)
    return outputs
