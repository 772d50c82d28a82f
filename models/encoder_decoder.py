"""The one U-shape. What varies between the papers' networks is passed in as functions."""

from collections.abc import Callable, Sequence

from keras import KerasTensor, layers

from models.blocks import Block, max_pool, upsample_nearest

Skip = Callable[[KerasTensor, KerasTensor], KerasTensor]
"""What happens to an encoder tensor on its way to the decoder: (encoder tensor, decoder tensor) → tensor."""


def pass_through(_name: str) -> Skip:
    """The plain U-Net's skip connection: the encoder tensor as it is."""
    return lambda features, _decoder: features


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
    skip: Callable[[str], Skip] = pass_through,
) -> list[KerasTensor]:
    """The way up: upsample, join the skip connection of that level, block.

    Args:
        features: of `encode`, finest first.
        blocks: one per step up, coarsest first; as many as `features` has levels above the bottom, or more: the
            steps beyond the finest features have no skip connection.
        upsample: makes the part that doubles the grid from its name (`up_1`, …).
        skip: makes, from its name (`skip_1`, …), what happens to the encoder tensor before it is concatenated.

    Returns:
        The tensor after each block, coarsest first (deep supervision takes them all); the last is the finest.
    """
    x = features[-1]
    skips = list(features[-2::-1])
    outputs: list[KerasTensor] = []
    for step, block in enumerate(blocks, start=1):
        x = upsample(f"up_{step}")(x)
        if step <= len(skips):
            x = layers.Concatenate(name=f"join_{step}")([x, skip(f"skip_{step}")(skips[step - 1], x)])
        x = block(x)
        outputs.append(x)
    return outputs


def every_height(outputs: Sequence[KerasTensor], classes: int) -> KerasTensor:
    """Deep supervision: each decoder height mapped to the classes, all of them side by side on the finest grid.

    The 1×1 convolution of `blocks.class_probabilities` then fuses them. They are gathered on the way up, two at a time,
    each upsampled by 2: what upsampling each at once to the finest grid would give, with less to move.

    Args:
        outputs: of `decode`, coarsest first, each of twice the grid of the one before.
        classes: channels of each height, by a 1×1 convolution (`side_1`, …).

    Returns:
        (N, h, w, heights·classes) on the grid of the last.
    """
    gathered = layers.Conv2D(classes, 1, name="side_1")(outputs[0])
    for height, features in enumerate(outputs[1:], start=2):
        gathered = upsample_nearest(f"sides_up_{height}")(gathered)
        side = layers.Conv2D(classes, 1, name=f"side_{height}")(features)
        gathered = layers.Concatenate(name=f"sides_{height}")([gathered, side])
    return gathered
