"""Simple solid things: candle, cork, cone, roly-poly, balloon, pillow, and the channel of a marble run."""

import math
from itertools import pairwise

import numpy as np

from phys4d_kedro.simulation.assets.asset import Asset, asset, ball, block, disc, kept
from phys4d_kedro.simulation.assets.sweeping import cushion, filleted, joined, lathe, swept
from phys4d_kedro.simulation.description import Part


@kept
def sphere(radius: float = 0.1) -> Asset:
    """A ball of triangles, for what needs a mesh."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 25)
    profile = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    profile[[0, -1], 0] = 0.0
    return asset(lathe(profile), [ball((0.0, 0.0, 0.0), radius)])


@kept
def candle(radius: float = 0.035, height: float = 0.14) -> Asset:
    """A wax cylinder, `height` high, with a hollow at its top and a wick that reaches 0.5 radii above it."""
    lip, hollow = 0.15 * radius, 0.25 * radius
    wax = [
        (0.0, 0.0, 0.0),
        (radius, 0.0, 0.08 * radius),
        (radius, height, lip),
        (0.7 * radius, height, lip),
        (0.4 * radius, height - hollow, 0.15 * radius),
        (0.0, height - hollow, 0.0),
    ]
    t = np.linspace(0.0, 1.0, 6)
    x, z = 0.12 * radius * t**3, height - 1.3 * hollow + t * (0.5 * radius + 1.3 * hollow)
    wick = swept(np.stack((x, 0 * t, z), axis=-1), 0.05 * radius, (0.0, 1.0, 0.0), sides=8)
    return asset(joined(lathe(filleted(wax)), wick), [disc(0.0, height, radius)])


@kept
def cork(radius: float = 0.015, height: float = 0.045) -> Asset:
    """A tapered cylinder, `radius` at its top and 0.8 of that at its bottom."""
    edge = 0.12 * radius
    profile = [(0.0, 0.0, 0.0), (0.8 * radius, 0.0, edge), (radius, height, edge), (0.0, height, 0.0)]
    steps = np.linspace(0.0, 1.0, 4)
    colliders = [disc(a * height, b * height, (0.8 + 0.1 * (a + b)) * radius) for a, b in pairwise(steps)]
    return asset(lathe(filleted(profile)), colliders)


@kept
def cone(radius: float = 0.06, height: float = 0.15) -> Asset:
    """An upright cone with a slightly blunt tip; the colliders are a stack of discs."""
    edge = 0.04 * radius
    profile = [(0.0, 0.0, 0.0), (radius, 0.0, edge), (0.03 * radius, height, 0.02 * radius), (0.0, height, 0.0)]
    steps = np.linspace(0.0, 1.0, 11)
    colliders = [disc(a * height, b * height, (1.0 - 0.5 * (a + b)) * radius) for a, b in pairwise(steps)]
    return asset(lathe(filleted(profile)), colliders)


@kept
def roly_poly(radius: float = 0.08) -> Asset:
    """A toy that rights itself: half a sphere below, a cone 1.3 radii high with a rounded tip above.

    The collider is a sphere, with a weight in it as such toys have: three discs in its lower half, which add to its
    mass, so that the centre of mass lies 0.14 radii below the sphere's.
    """
    slope, tip, edge = math.atan2(1.0, 1.3), 0.2, 0.15
    t = np.linspace(0.0, 0.46 * np.pi, 13)
    bowl = np.stack((np.sin(t), 1.0 - np.cos(t)), axis=-1)
    # The tip is a ball of radius 0.2, where the cone from the equator touches it.
    turn = np.linspace(slope, 0.5 * np.pi, 8)
    nose = np.stack((tip * np.cos(turn), 2.3 - tip / math.sin(slope) + tip * np.sin(turn)), axis=-1)
    shoulder = filleted([(*bowl[-1], 0.0), (1.0, 1.0, edge), (*nose[0], 0.0)])
    profile = radius * np.concatenate((bowl, shoulder[1:-1], nose))
    weights = [
        disc(low * radius, high * radius, wide * radius)
        for low, high, wide in ((0.10, 0.60, 0.43), (0.15, 0.65, 0.52), (0.20, 0.70, 0.59))
    ]
    colliders = [ball((0.0, 0.0, radius), radius), *weights]
    return asset(lathe(profile), colliders)


@kept
def pillow(length: float = 0.5, width: float = 0.4, thickness: float = 0.15) -> Asset:
    """A cushion with a seam around it, `length` along x; it lies on its belly."""
    colliders = [
        block((0.0, 0.0, 0.0), (along * length / 2, along * width / 2, up * thickness / 2))
        for along, up in ((0.30, 0.985), (0.50, 0.85), (0.66, 0.72), (0.82, 0.50))
    ]
    return asset(cushion(length, width, thickness), colliders)


@kept
def balloon(radius: float = 0.12) -> Asset:
    """A toy balloon, `radius` at its widest, with its knot below; 2.62 radii high."""
    t = np.linspace(0.0, np.pi, 40)[1:-1]
    # A sphere drawn out downwards, to the neck of the knot.
    wide, high = np.sin(t) * (1.0 - 0.18 * (0.5 + 0.5 * np.cos(t)) ** 2), -1.2 * np.cos(t) * (1.0 + 0.1 * np.cos(t))
    body = np.stack((wide / wide.max(), high), axis=-1)
    neck = [(0.0, -1.54), (0.12, -1.53), (0.125, -1.50), (0.05, -1.39), (0.055, -1.34)]
    profile = radius * np.concatenate((neck, body[body[:, 0] > 0.12], [(0.0, body[-1, 1] + 0.003)]))
    colliders = [
        ball((0.0, 0.0, 0.12 * radius), 0.99 * radius),
        ball((0.0, 0.0, -0.35 * radius), 0.84 * radius),
        ball((0.0, 0.0, -0.85 * radius), 0.42 * radius),
        disc(-1.53 * radius, -1.2 * radius, 0.08 * radius),
    ]
    return asset(lathe(profile), colliders)


def channel(length: float, width: float, thickness: float, *, trough: bool = False) -> list[Part]:
    """A straight channel for marbles along x, `width` wide inside, as boxes that are seen and collide: a V of 90
    degrees, or with `trough` a U of depth `width` / 2. The inner edge (floor) lies at z = 0, the middle at x = 0."""
    half, t = length / 2, thickness / 2
    if trough:
        floor = block((0.0, 0.0, -t), (half, width / 2 + thickness, t))
        sides = [block((0.0, s * (width / 2 + t), width / 4), (half, t, width / 4)) for s in (-1, 1)]
        return [floor, *sides]
    slant = width / math.sqrt(2.0)
    parts = []
    for side in (-1, 1):
        # The second board stands on the first one's edge, so that they do not overlap.
        reach = slant + (thickness if side > 0 else 0.0)
        along, down = slant / 2 - (thickness / 2 if side > 0 else 0.0), t
        y = side * (along + down) / math.sqrt(2.0)
        z = (along - down) / math.sqrt(2.0)
        parts.append(block((0.0, y, z), (half, reach / 2, t), (side * 45.0, 0.0, 0.0)))
    return parts
