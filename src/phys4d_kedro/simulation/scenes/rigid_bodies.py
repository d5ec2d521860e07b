"""Rigid bodies: balls and blocks that fall, roll, collide and topple. Names are Physics-IQ's where it has the scenario.

Lengths are metres, angles degrees; x runs along the action, z is up. Things start at rest, or the prompt says how
they move; balls that start with a speed roll.
"""

import math

from phys4d_kedro.simulation.description import Description, Part, Thing, Vector, pace
from phys4d_kedro.simulation.randomization import Draw, Substance, draw_substance
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Sphere
from phys4d_kedro.simulation.scenes.registry import scene


def _ball(draw: Draw, name: str, radius: float, at: Vector, speed: float = 0.0) -> Thing:
    """A ball that starts with `speed` along x, rolling."""
    return Thing(
        name=name,
        substance=draw_substance(draw, name, size=2 * radius),
        parts=[Part(shape=Sphere(radius=radius))],
        position=at,
        rotation=(draw.uniform(f"{name}.turn_x", 0, 360), draw.uniform(f"{name}.turn_y", 0, 360), 0.0),
        velocity=(speed, 0.0, 0.0),
        spin=(0.0, speed / radius, 0.0),
    )


def _block(
    substance: Substance, name: str, half: tuple[float, float, float], at: tuple[float, float, float], turn: float = 0.0
) -> Thing:
    return Thing(
        name=name,
        substance=substance,
        parts=[Part(shape=Box(half_extents=half))],
        position=at,
        rotation=(0.0, 0.0, turn),
    )


def _pace(speed: float) -> str:
    """The prompt's word for a speed in m/s."""
    return pace(speed, slow=0.9, quick=1.5)


@scene("rigid_bodies")
def ball_collide(draw: Draw) -> Description:
    """A rolling ball hits a resting one."""
    radius, other = draw.uniform("radius", 0.12, 0.2), draw.uniform("other_radius", 0.12, 0.2)
    speed = draw.uniform("speed", 0.7, 2.0)
    gap = draw.uniform("gap", 0.25, 0.6)
    offset = draw.uniform("offset", -0.4, 0.4) * (radius + other)
    moving = _ball(draw, "ball", radius, (-radius - other - gap, offset, radius), speed)
    resting = _ball(draw, "target", other, (0.0, 0.0, other))
    return Description(
        things=[moving, resting],
        prompt=f"{moving.substance.a()} ball rolls {_pace(speed)} {{direction}} and hits a resting "
        f"{resting.substance.words} ball.",
        centre=(0.2, 0.0, 0.15),
        radius=0.9,
    )


@scene("rigid_bodies")
def ball_ramp(draw: Draw) -> Description:
    """A ball is let go on a ramp and rolls down."""
    angle = draw.uniform("angle", 15, 32)
    length = draw.uniform("length", 0.9, 1.3)
    radius = draw.uniform("radius", 0.13, 0.2)
    wood = draw_substance(draw, "ramp", size=0.4, kinds=("wooden", "plastic", "stone"))
    slope = math.radians(angle)
    thickness = 0.03
    height = 0.5 * length * math.sin(slope) + thickness * math.cos(slope)
    ramp = Thing(
        name="ramp",
        substance=wood,
        parts=[Part(shape=Box(half_extents=(length / 2, 0.3, thickness)))],
        position=(-0.35, 0.0, height),
        rotation=(0.0, angle, 0.0),
        fixed=True,
    )
    back = 0.5 * length - radius - 0.02
    lift = thickness + radius + 0.001
    x = -0.35 - back * math.cos(slope) + lift * math.sin(slope)
    z = height + back * math.sin(slope) + lift * math.cos(slope)
    ball = _ball(draw, "ball", radius, (x, draw.uniform("across", -0.12, 0.12), z))
    return Description(
        things=[ramp, ball],
        prompt=f"{ball.substance.a()} ball rolls down {wood.a(False)} ramp {{direction}}, onto the ground.",
        centre=(-0.1, 0.0, 0.25),
        radius=0.8,
    )


@scene("rigid_bodies")
def ball_train(draw: Draw) -> Description:
    """A rolling ball hits a row of touching balls."""
    radius = draw.uniform("radius", 0.1, 0.15)
    count = draw.integer("count", 2, 4)
    speed = draw.uniform("speed", 1.0, 2.2)
    row = [_ball(draw, f"ball_{k}", radius, (k * (2 * radius + 0.002), 0.0, radius)) for k in range(count)]
    moving = _ball(draw, "ball", radius, (-2 * radius - draw.uniform("gap", 0.25, 0.5), 0.0, radius), speed)
    return Description(
        things=[moving, *row],
        prompt=f"{moving.substance.a()} ball rolls {_pace(speed)} {{direction}} into a row of {count} resting balls, "
        "and the last one rolls away.",
        centre=(0.25, 0.0, 0.1),
        radius=0.9,
    )


@scene("rigid_bodies")
def block_domino(draw: Draw) -> Description:
    """A leaning block falls over and takes a row of blocks with it."""
    count = draw.integer("count", 4, 7)
    height = draw.uniform("height", 0.16, 0.26)
    thickness, width = 0.16 * height, 0.3 * height
    pitch = height * draw.uniform("pitch", 0.55, 0.8)
    substance = draw_substance(draw, "block", size=height, kinds=("wooden", "plastic", "stone"))
    lean = draw.uniform("lean", 14, 20)
    start = -0.5 * (count - 1) * pitch
    tilt = math.radians(lean)
    up = height * math.cos(tilt) + thickness * math.sin(tilt) + 0.0005
    first = Thing(
        name="block_0",
        substance=substance,
        parts=[Part(shape=Box(half_extents=(thickness, width, height)))],
        position=(start, 0.0, up),
        rotation=(0.0, lean, 0.0),
    )
    rest = [
        _block(
            substance,
            f"block_{k}",
            (thickness, width, height),
            (start + k * pitch + 0.35 * height, 0.0, height + 0.0005),
        )
        for k in range(1, count)
    ]
    return Description(
        things=[first, *rest],
        prompt=f"A row of {count} standing {substance.words} blocks: the first leans over and they "
        "topple {direction} one after another.",
        centre=(0.1, 0.0, 0.2),
        radius=0.45 + 0.5 * count * pitch,
    )


@scene("rigid_bodies")
def ball_in_basket(draw: Draw) -> Description:
    """A ball drops into a basket."""
    wide = draw.uniform("basket_radius", 0.28, 0.38)
    high = draw.uniform("basket_height", 0.12, 0.2)
    wicker = draw_substance(draw, "basket", size=0.3, kinds=("wooden", "plastic"))
    staves = 12
    half = wide * math.tan(math.pi / staves) + 0.01
    walls = [
        Part(
            shape=Box(half_extents=(0.015, half, high)),
            position=(
                wide * math.cos(2 * math.pi * k / staves),
                wide * math.sin(2 * math.pi * k / staves),
                high + 0.03,
            ),
            rotation=(0.0, 0.0, 360.0 * k / staves),
        )
        for k in range(staves)
    ]
    bottom = Part(shape=Cylinder(radius=wide, half_height=0.015), position=(0.0, 0.0, 0.016))
    basket = Thing(name="basket", substance=wicker, parts=[bottom, *walls], position=(0.0, 0.0, 0.0), fixed=True)
    radius = draw.uniform("radius", 0.12, 0.18)
    room = wide - radius - 0.05
    ball = _ball(
        draw,
        "ball",
        radius,
        (
            draw.uniform("x", -0.8, 0.8) * room,
            draw.uniform("y", -0.5, 0.5) * room,
            draw.uniform("drop", 0.6, 1.0) + radius,
        ),
    )
    return Description(
        things=[basket, ball],
        prompt=f"{ball.substance.a()} ball falls into {wicker.a(False)} basket and bounces in it.",
        centre=(0.0, 0.0, 0.4),
        radius=0.7,
    )


@scene("rigid_bodies")
def two_balls_pass(draw: Draw) -> Description:
    """Two balls roll past each other in opposite directions."""
    radius, other = draw.uniform("radius", 0.12, 0.2), draw.uniform("other_radius", 0.12, 0.2)
    speed, other_speed = draw.uniform("speed", 0.6, 1.2), draw.uniform("other_speed", 0.6, 1.2)
    lane = radius + other + draw.uniform("clearance", 0.05, 0.3)
    first = _ball(draw, "ball", radius, (-0.9, -lane / 2, radius), speed)
    second = _ball(draw, "other", other, (0.9, lane / 2, other), -other_speed)
    return Description(
        things=[first, second],
        prompt=f"{first.substance.a()} ball rolls {_pace(speed)} {{direction}} and {second.substance.a(False)} ball "
        f"{_pace(other_speed)} {{opposite}}; they pass each other.",
        centre=(0.0, 0.0, 0.15),
        radius=1.0,
    )


@scene("rigid_bodies")
def ball_and_block_fall(draw: Draw) -> Description:
    """A ball and a block are let go at the same height."""
    radius, half = draw.uniform("radius", 0.12, 0.2), draw.uniform("half", 0.1, 0.16)
    drop = draw.uniform("drop", 0.5, 1.2)
    apart = radius + 1.8 * half + draw.uniform("apart", 0.1, 0.4)
    ball = _ball(draw, "ball", radius, (-apart / 2, 0.0, drop + radius))
    block = Thing(
        name="block",
        substance=draw_substance(draw, "block", size=2 * half),
        parts=[Part(shape=Box(half_extents=(half, half, half)))],
        position=(apart / 2, 0.0, drop + 1.8 * half),
        rotation=(draw.uniform("tilt_x", -40, 40), draw.uniform("tilt_y", -40, 40), draw.uniform("turn", 0, 90)),
    )
    return Description(
        things=[ball, block],
        prompt=f"{ball.substance.a()} ball and {block.substance.a(False)} block are let go and fall to the ground.",
        centre=(0.0, 0.0, 0.5),
        radius=0.95,
    )


def _tower(draw: Draw, count: int, half: float, substances: list[Substance], offsets: list[float]) -> list[Thing]:
    """Blocks on top of each other, each `offsets[k]` metres along x from the one below."""
    things, x = [], 0.0
    for k in range(count):
        x += offsets[k]
        turn = draw.uniform(f"turn_{k}", -12, 12)
        things.append(
            _block(
                substances[k], f"block_{k}", (half, half, half), (x, 0.0, half * (2 * k + 1) + 0.0005 * (k + 1)), turn
            )
        )
    return things


@scene("rigid_bodies")
def stable_blocks(draw: Draw) -> Description:
    """A stack of blocks that stands, however the camera moves."""
    count, half = draw.integer("count", 2, 4), draw.uniform("half", 0.12, 0.18)
    substances = [draw_substance(draw, f"block_{k}", size=2 * half) for k in range(count)]
    things = _tower(
        draw,
        count,
        half,
        substances,
        [0.0] + [half * draw.uniform(f"offset_{k}", -0.25, 0.25) for k in range(1, count)],
    )
    return Description(
        things=things,
        prompt=f"A stack of {count} blocks, {substances[0].a(False)} one at the bottom, stands still.",
        centre=(0.0, 0.0, half * count),
        radius=0.4 + half * count,
        at_rest=True,
    )


@scene("rigid_bodies")
def unstable_block_stack(draw: Draw) -> Description:
    """A stack of blocks, each further over the edge of the one below, that falls over."""
    count, half = draw.integer("count", 3, 5), draw.uniform("half", 0.11, 0.16)
    substances = [draw_substance(draw, f"block_{k}", size=2 * half) for k in range(count)]
    side = draw.sign("side")
    things = _tower(
        draw,
        count,
        half,
        substances,
        [0.0] + [side * half * draw.uniform(f"offset_{k}", 0.75, 1.1) for k in range(1, count)],
    )
    return Description(
        things=things,
        prompt=f"A stack of {count} blocks, {substances[0].a(False)} one at the bottom, leans too far and falls over "
        f"{'{direction}' if side > 0 else '{opposite}'}.",
        centre=(side * half * count / 2, 0.0, half * count * 0.8),
        radius=0.45 + half * count,
    )
