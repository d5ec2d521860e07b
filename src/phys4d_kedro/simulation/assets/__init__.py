"""Recognisable objects modelled by functions: meshes to be seen, and simple shapes that collide in their place."""

from phys4d_kedro.simulation.assets.asset import Asset
from phys4d_kedro.simulation.assets.shapes import duck, kettlebell, potato, statue, teapot, wrench
from phys4d_kedro.simulation.assets.simple import balloon, candle, channel, cone, cork, pillow, roly_poly, sphere
from phys4d_kedro.simulation.assets.vessels import basket, bowl, glass, hourglass_colliders, hourglass_glass, mug, tank

__all__ = [
    "Asset",
    "balloon",
    "basket",
    "bowl",
    "candle",
    "channel",
    "cone",
    "cork",
    "duck",
    "glass",
    "hourglass_colliders",
    "hourglass_glass",
    "kettlebell",
    "mug",
    "pillow",
    "potato",
    "roly_poly",
    "sphere",
    "statue",
    "tank",
    "teapot",
    "wrench",
]
