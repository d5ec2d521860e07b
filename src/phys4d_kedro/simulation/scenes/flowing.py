"""Pieces of the scenes of liquids and sand."""

import math
from collections.abc import Sequence

from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.description import Emitter, Matter, MatterGrid, MatterKind, Part, Thing, Vector
from phys4d_kedro.simulation.randomization import Draw, Substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder
from phys4d_kedro.simulation.scenes.substances import Liquid, draw_glass


def make_tank(draw: Draw, inner: Vector, *, wall: float = 0.006, thickness: float = 0.08, name: str = "tank") -> Thing:
    """A fixed aquarium of glass panes, whose cavity (metres) begins at z = `wall`. Its walls are thicker outwards than
    they look, so that coarse grids do not leak."""
    asset = assets.tank(*inner, wall, thickness)
    return Thing(
        name=name,
        substance=draw_glass(draw, name, thin=True),
        parts=[Part(shape=asset.mesh)],
        colliders=asset.colliders,
        position=(0.0, 0.0, asset.height + 0.0005),
        fixed=True,
    )


def make_tray(substance: Substance, inner: Vector, wall: float, name: str = "tray") -> Thing:
    """A fixed open box with a cavity of `inner` metres and walls as thick as they look; its floor is the ground."""
    x, y, high = inner[0] / 2, inner[1] / 2, inner[2] / 2
    half = wall / 2
    parts = []
    for side in (-1, 1):
        parts.append(Part(shape=Box(half_extents=(half, y + wall, high)), position=(side * (x + half), 0.0, high)))
        parts.append(Part(shape=Box(half_extents=(x, half, high)), position=(0.0, side * (y + half), high)))
    return Thing(name=name, substance=substance, parts=parts, position=(0.0, 0.0, 0.0), fixed=True)


def make_tumbler(draw: Draw, radius: float, height: float, *, wall: float = 0.012, thickness: float = 0.09) -> Thing:
    """A fixed drinking glass of outer `radius`. Its walls are thicker outwards than they look, as those of a tank."""
    asset = assets.glass(radius, height, wall)
    sides = 16
    inner = 0.86 * radius - wall  # its wall leans a little
    apothem = inner + thickness / 2
    half_width = (inner + thickness) * math.tan(math.pi / sides)
    staves = []
    for k in range(sides):
        angle = 2 * math.pi * k / sides
        middle = (apothem * math.cos(angle), apothem * math.sin(angle), height / 2 - asset.height)
        stave = Box(half_extents=(thickness / 2, half_width, height / 2))
        staves.append(Part(shape=stave, position=middle, rotation=(0.0, 0.0, math.degrees(angle))))
    bottom = Cylinder(radius=inner + thickness, half_height=0.1)
    floor = Part(shape=bottom, position=(0.0, 0.0, 3 * wall - 0.1 - asset.height))
    return Thing(
        name="glass",
        substance=draw_glass(draw, "glass", thin=True),
        parts=[Part(shape=asset.mesh)],
        colliders=[floor, *staves],
        position=(0.0, 0.0, asset.height + 0.0005),
        fixed=True,
    )


def filled(
    name: str,
    stuff: Liquid,
    lower: Vector,
    upper: Vector,
    *,
    kind: MatterKind = "liquid",
    friction_angle: float = 35.0,
) -> Matter:
    """A box full of matter, from corner to corner."""
    half = [(high - low) / 2 for low, high in zip(lower, upper, strict=True)]
    middle = [(high + low) / 2 for low, high in zip(lower, upper, strict=True)]
    block = Part(shape=Box(half_extents=(half[0], half[1], half[2])), position=(middle[0], middle[1], middle[2]))
    return _matter(name, stuff, kind, friction_angle, blocks=[block])


def poured(
    name: str,
    stuff: Liquid,
    position: Vector,
    speed: float,
    radius: float,
    *,
    kind: MatterKind = "liquid",
    friction_angle: float = 35.0,
    stop: float = 1e9,
) -> Matter:
    """Matter that flows down from a nozzle at `speed` m/s."""
    nozzle = Emitter(position=position, velocity=(0.0, 0.0, -speed), radius=radius, stop=stop)
    return _matter(name, stuff, kind, friction_angle, emitters=[nozzle])


def around(half: tuple[float, float], top: float, spacing: float) -> MatterGrid:
    """A grid above the ground, `half` metres to either side along x and y and `top` high."""
    return MatterGrid(lower=(-half[0], -half[1], -2 * spacing), upper=(half[0], half[1], top), spacing=spacing)


def _matter(
    name: str,
    stuff: Liquid,
    kind: MatterKind,
    friction_angle: float,
    *,
    blocks: Sequence[Part] = (),
    emitters: Sequence[Emitter] = (),
) -> Matter:
    return Matter(
        name=name,
        words=stuff.words,
        kind=kind,
        material=stuff.material,
        blocks=blocks,
        emitters=emitters,
        density=stuff.density,
        viscosity=stuff.viscosity,
        friction_angle=friction_angle,
    )
