"""Pieces that scenes are made of. Lengths are metres, angles degrees; x runs along the action, z is up."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from phys4d_kedro.simulation.assets import Asset
from phys4d_kedro.simulation.description import Description, Joint, Part, Thing, Vector, pace, rotation_matrix
from phys4d_kedro.simulation.randomization import SUBSTANCES, Draw, Substance, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Sphere

GAP = 0.0005  # between things at the start, which must not overlap


def make_ball(
    draw: Draw,
    name: str,
    radius: float,
    at: Vector,
    speed: float = 0.0,
    *,
    kinds: Sequence[str] = tuple(SUBSTANCES),
) -> Thing:
    """A ball that starts with `speed` along x, rolling."""
    return Thing(
        name=name,
        substance=draw_substance(draw, name, size=2 * radius, kinds=kinds),
        parts=[Part(shape=Sphere(radius=radius))],
        position=at,
        rotation=(draw.uniform(f"{name}.turn_x", 0, 360), draw.uniform(f"{name}.turn_y", 0, 360), 0.0),
        velocity=(speed, 0.0, 0.0),
        spin=(0.0, speed / radius, 0.0),
    )


def make_block(substance: Substance, name: str, half: Vector, at: Vector, turn: float = 0.0) -> Thing:
    """A box, turned about the vertical."""
    return Thing(
        name=name,
        substance=substance,
        parts=[Part(shape=Box(half_extents=half))],
        position=at,
        rotation=(0.0, 0.0, turn),
    )


def make_tower(draw: Draw, half: float, substances: Sequence[Substance], offsets: Sequence[float]) -> list[Thing]:
    """Blocks on top of each other, each `offsets[k]` metres along x from the one below."""
    things, x = [], 0.0
    for k, (substance, offset) in enumerate(zip(substances, offsets, strict=True)):
        x += offset
        turn = draw.uniform(f"turn_{k}", -12, 12)
        at = (x, 0.0, half * (2 * k + 1) + GAP * (k + 1))
        things.append(make_block(substance, f"block_{k}", (half, half, half), at, turn))
    return things


def make_dominos(
    substance: Substance, half: Vector, lean: float, start: float, places: Sequence[float], *, base: float = 0.0
) -> list[Thing]:
    """A block at x = `start` that leans along x by `lean` degrees, so that it falls over, and blocks that stand at
    `places`; all on the height `base`."""
    tilt = math.radians(lean)
    up = base + half[2] * math.cos(tilt) + half[0] * math.sin(tilt) + GAP
    first = make_block(substance, "block_0", half, (start, 0.0, up))
    rest = [
        make_block(substance, f"block_{k}", half, (x, 0.0, base + half[2] + GAP)) for k, x in enumerate(places, start=1)
    ]
    return [replace(first, rotation=(0.0, lean, 0.0)), *rest]


def place_asset(
    draw: Draw,
    name: str,
    asset: Asset,
    at: tuple[float, float],
    *,
    above: float = 0.0,
    turn: float = 0.0,
    kinds: Sequence[str] = tuple(SUBSTANCES),
    size: float = 0.3,
    joint: Joint | None = None,
    fixed: bool = False,
) -> Thing:
    """A mesh of the catalogue, standing `above` the ground at (x, y)."""
    substance = draw_substance(draw, name, size=size, kinds=kinds)
    return Thing(
        name=name,
        # Where colliders overlap MuJoCo counts their mass twice.
        substance=replace(substance, density=substance.density / asset.filling),
        parts=[Part(shape=asset.mesh)],
        colliders=asset.colliders,
        position=(*at, above + max(asset.height, *(-_lowest(part) for part in asset.colliders)) + GAP),
        rotation=(0.0, 0.0, turn),
        joint=joint,
        fixed=fixed,
    )


def rolling_pace(speed: float) -> str:
    """The prompt's word for a speed in m/s."""
    return pace(speed, slow=0.9, quick=1.5)


def make_frame(draw: Draw, height: float, half: float, *, along: str = "y") -> Thing:
    """Two posts and a beam between them at `height`, `half` to either side along an axis; it touches nothing."""
    thin = 0.02
    axis = 0 if along == "x" else 1

    def at(side: float, z: float) -> Vector:
        return (side, 0.0, z) if axis == 0 else (0.0, side, z)

    beam_half = [thin, thin, thin]
    beam_half[axis] = half + thin
    post = Box(half_extents=(thin, thin, height / 2))
    parts = [Part(shape=post, position=at(side * half, height / 2)) for side in (-1, 1)]
    parts.append(Part(shape=Box(half_extents=(beam_half[0], beam_half[1], beam_half[2])), position=at(0.0, height)))
    substance = draw_substance(draw, "frame", size=0.2, kinds=("wooden", "metal", "plastic"))
    return Thing(name="frame", substance=substance, parts=parts, colliders=(), position=(0.0, 0.0, 0.0), fixed=True)


def newtons_cradle(draw: Draw, *, lifted: int) -> Description:
    """Five balls hang side by side; `lifted` of them are let go from the side."""
    radius, length = draw.uniform("radius", 0.075, 0.095), draw.uniform("length", 0.5, 0.65)
    side, angle = draw.sign("side"), draw.uniform("angle", 32, 48)
    steel = replace(draw_substance(draw, "ball", size=2 * radius, kinds=("metal",)), restitution=0.98)
    height, pitch, spread = length + 0.25, 2 * radius + 0.008, 0.2
    string = math.hypot(length, spread)
    tilt = math.degrees(math.atan2(spread, length))
    strings = [
        Part(
            shape=Cylinder(radius=0.004, half_height=string / 2),
            position=(0.0, y * spread / 2, length / 2),
            rotation=(-y * tilt, 0.0, 0.0),
        )
        for y in (-1, 1)
    ]
    balls = []
    for k in range(5):
        x = (k - 2) * pitch
        up = k < lifted if side < 0 else k >= 5 - lifted
        turn = -side * angle if up else 0.0
        swing = math.radians(turn)
        balls.append(
            Thing(
                name=f"ball_{k}",
                substance=steel,
                parts=[Part(shape=Sphere(radius=radius)), *strings],
                colliders=[Part(shape=Sphere(radius=radius))],
                position=(x - length * math.sin(swing), 0.0, height - length * math.cos(swing)),
                rotation=(0.0, turn, 0.0),
                joint=Joint(kind="hinge", anchor=(x, 0.0, height), axis=(0.0, 1.0, 0.0)),
            )
        )
    frame = make_frame(draw, height, 3.2 * pitch, along="x")
    rails = [replace(frame, name=f"rail_{k}", position=(0.0, y * spread, 0.0)) for k, y in enumerate((-1, 1))]
    many = {1: "the first ball is", 2: "the first two balls are"}[lifted]
    last = {1: "the last ball swings", 2: "the last two balls swing"}[lifted]
    return Description(
        things=[*rails, *balls],
        prompt=f"A Newton's cradle of five {steel.words} balls: {many} let go from the side, hits the others, and "
        f"{last} out "
        f"{'{direction}' if side < 0 else '{opposite}'}.",
        centre=(0.0, 0.0, 0.6 * height),
        radius=0.75,
    )


def on_turntable(draw: Draw, name: str, asset: Asset) -> Description:
    """An asset turns on a platform."""
    speed = draw.sign("side") * draw.uniform("speed", 50, 110)
    turning = Joint(kind="hinge", anchor=(0.0, 0.0, 0.0), axis=(0.0, 0.0, 1.0), drive=((0.0, 0.0), (10.0, 10 * speed)))
    platform = Thing(
        name="platform",
        substance=draw_substance(draw, "platform", size=0.4, kinds=("plastic", "wooden", "stone")),
        parts=[Part(shape=Cylinder(radius=0.38, half_height=0.025), position=(0.0, 0.0, 0.027))],
        position=(0.0, 0.0, 0.0),
        joint=turning,
    )
    turn = draw.uniform("turn", 0, 360)
    thing = place_asset(draw, name, asset, (0.0, 0.0), above=0.053, turn=turn, joint=turning)
    return Description(
        things=[platform, thing],
        prompt=f"{thing.substance.a()} {name} turns {pace(abs(speed), slow=70, quick=90)} on a platform, "
        f"{'anticlockwise' if speed > 0 else 'clockwise'} as seen from above.",
        centre=(0.0, 0.0, 0.25),
        radius=0.62,
    )


def _lowest(part: Part) -> float:
    """The lowest z of a collider, in the frame of its thing."""
    down = np.abs(rotation_matrix(part.rotation)[2])
    match part.shape:
        case Sphere(radius=radius):
            reach = radius
        case Cylinder(radius=radius, half_height=half):
            reach = down[2] * half + math.sqrt(max(0.0, 1 - down[2] ** 2)) * radius
        case Box(half_extents=half_extents):
            reach = float(down @ half_extents)
        case _:
            raise TypeError(f"a {type(part.shape).__name__} cannot collide")
    return part.position[2] - float(reach)
