"""Vessels, which are hollow: mug, bowl, glass, tank, basket, and the glass of an hourglass.

The cavity reaches from the floor, `wall` above the ground (`glass`: three times that), to the rim at `height`.
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.assets.asset import Asset, asset, block, disc, kept, rod
from phys4d_kedro.simulation.assets.sweeping import filleted, funnel, joined, lathe, open_box, swept
from phys4d_kedro.simulation.description import Part

SIDES = 14
FUNNEL = math.radians(55.0)


@kept
def mug(radius: float = 0.042, height: float = 0.095, wall: float = 0.005) -> Asset:
    """A mug with its handle at +x, which reaches 0.75 radii beyond the outer `radius`."""
    edge, soft = 0.45 * wall, 0.2 * radius
    cup = lathe(
        filleted(
            [
                (0.0, 0.0, 0.0),
                (radius, 0.0, 0.1 * radius),
                (radius, height, edge),
                (radius - wall, height, edge),
                (radius - wall, wall, soft),
                (0.0, wall, 0.0),
            ]
        )
    )
    t = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 17)
    thick = 0.11 * radius
    reach = 0.75 * radius - thick + 0.5 * wall
    x = radius - 0.5 * wall + reach * np.cos(t) ** 0.7
    z = 0.52 * height + 0.30 * height * np.sin(t)
    flare = thick * (1.0 + 0.5 * np.abs(t / t[0]) ** 6)
    handle = swept(np.stack((x, 0 * x, z), axis=-1), flare, (0.0, 1.0, 0.0), sides=12)
    ring = [(float(x[k]), 0.0, float(z[k])) for k in (0, 3, 8, 13, 16)]
    colliders = [
        disc(0.0, wall, radius),
        *funnel([(radius - wall, 0.0), (radius - wall, height)], wall, SIDES),
        *(rod(a, b, thick) for a, b in pairwise(ring)),
    ]
    return asset(joined(cup, handle), colliders)


@kept
def bowl(radius: float = 0.09, height: float = 0.07, wall: float = 0.005) -> Asset:
    """A round bowl on a foot ring; `radius` at its rim."""
    inner = _bowl_curve(radius - wall, wall, height, 8)
    outer = _bowl_curve(radius, 0.35 * wall, height, 14)
    foot = 0.45 * radius
    outside = outer[outer[:, 0] > foot + 0.5 * wall]
    rim = 0.5 * wall * np.array([(math.cos(t), math.sin(t)) for t in np.linspace(0.0, math.pi, 7)[1:-1]])
    profile = np.concatenate(
        (
            [(0.0, 0.35 * wall), (foot - wall, 0.35 * wall), (foot - 0.9 * wall, 0.0), (foot, 0.0)],
            outside[:-1],
            [(radius, height - 0.5 * wall)],
            np.add(rim, (radius - 0.5 * wall, height - 0.5 * wall)),
            [(radius - wall, height - 0.5 * wall)],
            _bowl_curve(radius - wall, wall, height, 14)[::-1][1:],
        )
    )
    lining = inner[1:]
    colliders = [disc(0.0, float(lining[0, 1]), float(lining[0, 0])), *funnel(lining, wall, SIDES)]
    return asset(lathe(profile, 56), colliders)


@kept
def glass(radius: float = 0.035, height: float = 0.12, wall: float = 0.003) -> Asset:
    """A drinking glass, slightly wider at its rim, where its outer radius is `radius`; the bottom is 3 walls thick."""
    foot, edge = 0.82 * radius, 0.45 * wall
    floor = 3.0 * wall
    profile = filleted(
        [
            (0.0, 0.0, 0.0),
            (foot, 0.0, wall),
            (radius, height, edge),
            (radius - wall, height, edge),
            (foot - wall, floor, 2.0 * wall),
            (0.0, floor, 0.0),
        ]
    )
    lining = [(foot - wall, floor), (radius - wall, height)]
    return asset(lathe(profile, 64), [disc(0.0, floor, foot), *funnel(lining, wall, SIDES)])


@kept
def tank(
    length: float = 0.4, width: float = 0.25, height: float = 0.25, wall: float = 0.004, thickness: float = 0.03
) -> Asset:
    """An open aquarium: panes `wall` thick around a cavity of `length` (along x), `width` and depth `height`.

    The colliders begin at the cavity too but are `thickness` thick outwards, the floor downwards: so fast things and
    coarse grids do not get through. The asset stands on its panes, so its colliders reach under the ground: use it
    fixed.
    """
    x, y, t = length / 2, width / 2, thickness / 2
    colliders = [block((0.0, 0.0, -t), (x + thickness, y + thickness, t))]
    for side in (-1, 1):
        colliders.append(block((side * (x + t), 0.0, height / 2), (t, y + thickness, height / 2)))
        colliders.append(block((0.0, side * (y + t), height / 2), (x, t, height / 2)))
    return asset(open_box((length, width, height), wall), colliders)


@kept
def basket(radius: float = 0.15, height: float = 0.16) -> Asset:
    """A woven wicker basket, open above; `radius` at its rim, 0.8 of that at its floor."""
    low, stakes, rows = 0.8 * radius, 22, 9
    cane = 0.42 * height / rows
    turn = np.linspace(0.0, 2.0 * np.pi, 4 * stakes, endpoint=False)
    strands = []
    for row in range(rows):
        z = cane + (row + 0.5) / rows * (height - 2.6 * cane)
        swing = 0.9 * cane * np.cos(0.5 * stakes * turn + np.pi * row)
        r = low + (radius - low) * z / height + swing - 2.2 * cane
        loop = np.stack((r * np.cos(turn), r * np.sin(turn), np.full_like(turn, z)), axis=-1)
        strands.append(swept(loop, cane, (0.0, 0.0, 1.0), closed=True, sides=5))
    around = 2.0 * np.pi * np.arange(stakes) / stakes
    for angle in around:
        out = np.array((math.cos(angle), math.sin(angle)))
        foot, head = (low - 2.2 * cane) * out, (radius - 2.2 * cane) * out
        stake = [(*foot, cane), (*head, height - cane)]
        strands.append(swept(stake, 0.6 * cane, (-out[1], out[0], 0.0), sides=6))
    wide = radius - 1.5 * cane
    rim = np.stack((wide * np.cos(turn), wide * np.sin(turn), np.full_like(turn, height - 1.5 * cane)), axis=-1)
    strands.append(swept(rim[::2], 1.5 * cane, (0.0, 0.0, 1.0), closed=True, sides=8))
    floor = [(0.0, 0.0, 0.0), (low - cane, 0.0, 0.5 * cane), (low - cane, 2 * cane, 0.5 * cane), (0.0, 2 * cane, 0.0)]
    wall = 3.8 * cane
    base = low + (radius - low) * 2 * cane / height
    lining = [(base - 4.1 * cane, 2 * cane), (radius - 4.1 * cane, height)]
    colliders = [disc(0.0, 2 * cane, low - cane), *funnel(lining, wall, SIDES)]
    return asset(joined(lathe(filleted(floor)), *strands), colliders)


@kept
def hourglass_glass(height: float = 0.3, radius: float = 0.07, neck: float = 0.008, wall: float = 0.003) -> Asset:
    """The glass of an hourglass: two closed bulbs joined by a neck, hollow. `height` and `radius` are those outside,
    `neck` is the radius of the opening. It has no colliders: see `hourglass_colliders`.

    Raises:
        ConfigurationError: the bulbs are too flat for funnels of 55 degrees.
    """
    outside = filleted(_hourglass_corners(height, radius, neck, wall, wall), 6)
    inside = filleted(_hourglass_corners(height, radius, neck, wall, 0.0), 6)
    return asset(joined(lathe(outside, 64), lathe(inside[::-1], 64)), [])


def hourglass_colliders(
    height: float = 0.3, radius: float = 0.07, neck: float = 0.008, wall: float = 0.003, thickness: float = 0.02
) -> list[Part]:
    """What lines the cavity of `hourglass_glass` of the same sizes, in its frame: rings of boxes and two lids, at least
    `thickness` thick outwards, and within the glass's inner face."""
    lining = filleted(_hourglass_corners(height, radius, neck, wall, 0.0), 3)[1:-1]
    low, high = float(lining[0, 1]), float(lining[-1, 1])
    # The polygons and the chords of the fillets lie up to 0.04 radii within the glass.
    slack = 0.04 * radius
    lids = [disc(high, high + thickness, radius), disc(low - thickness, low, radius)]
    return [*funnel(lining, thickness + slack, SIDES), *lids]


def _hourglass_corners(
    height: float, radius: float, neck: float, wall: float, offset: float
) -> list[tuple[float, float, float]]:
    """Corners for `filleted`, from the bottom to the top, of the cavity's profile moved outwards by `offset`."""
    wide, top, waist = radius - wall, height / 2 - wall, 0.35 * (3.0 * neck + wall)

    def cone(r: float) -> float:
        return waist + ((r - neck - offset * math.sin(FUNNEL)) * math.tan(FUNNEL)) - offset * math.cos(FUNNEL)

    shoulder, throat = cone(wide + offset), cone(neck + offset)
    if shoulder + 0.5 * wide > top + offset:
        raise ConfigurationError(
            f"hourglass: radius {radius} leaves no room for funnels in height {height}; make it higher or narrower"
        )
    upper = [
        (neck + offset, throat, 3.0 * neck + wall - offset),
        (wide + offset, shoulder, 0.4 * wide + offset),
        (wide + offset, top + offset, 0.4 * wide + offset),
        (0.0, top + offset, 0.0),
    ]
    return [(r, -z, fillet) for r, z, fillet in upper[::-1]] + upper


def _bowl_curve(radius: float, floor: float, height: float, points: int) -> NDArray[np.float64]:
    """A quarter of an ellipse (points, 2), from the axis to the rim."""
    t = np.linspace(0.0, 0.5 * np.pi, points)
    return np.stack((radius * np.sin(t), floor + (height - floor) * (1.0 - np.cos(t))), axis=-1)
