"""A depth model of a few weights, for tests that need one and not its answers."""

from phys4d_kedro.perception.config import NanoDepthConfig

TINY_DEPTH = NanoDepthConfig(
    image_size=32,
    patch_size=8,
    hidden_size=16,
    layers=4,
    heads=2,
    neck_sizes=(4, 4, 8, 8),
    fusion_size=8,
    head_size=4,
    max_depth=20,
)
