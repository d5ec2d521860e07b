"""Solid assets from signed distance fields: duck, teapot, kettlebell, statue, wrench, potato.

They are modelled once a process in units of about their own length, then scaled. They face +x.
"""

import functools
import math

import numpy as np

from phys4d_kedro.simulation.assets.asset import Asset, asset, ball, block, disc, kept, rod, scaled
from phys4d_kedro.simulation.assets.fields import (
    Array,
    Field,
    capsule,
    difference,
    ellipsoid,
    placed,
    revolution,
    rounded_box,
    smooth_union,
    sphere,
    tapered_capsule,
    torus,
    tube,
)
from phys4d_kedro.simulation.assets.meshing import mesh_of_field
from phys4d_kedro.simulation.assets.sweeping import filleted, joined, lathe
from phys4d_kedro.simulation.description import Vector

GROUND = placed(rounded_box((9.0, 9.0, 9.0), 0.1), (0.0, 0.0, -9.0))


@kept
def duck(length: float = 0.2) -> Asset:
    """A rubber duck, `length` from tail to beak."""
    return scaled(_unit_duck(), length)


@kept
def teapot(length: float = 0.28) -> Asset:
    """A closed teapot, `length` from handle to spout, the spout at +x. It is solid inside."""
    return scaled(_unit_teapot(), length)


@kept
def kettlebell(height: float = 0.24) -> Asset:
    """A kettlebell, `height` with its handle, which lies across x."""
    return scaled(_unit_kettlebell(), height, axis=2)


@kept
def statue(height: float = 0.4) -> Asset:
    """A bust on a round pedestal, `height` in all, looking to +x."""
    return scaled(_unit_statue(), height, axis=2)


@kept
def wrench(length: float = 0.25) -> Asset:
    """An open-ended spanner that lies flat, `length` along x, the open jaws at +x and a ring at -x."""
    return scaled(_unit_wrench(), length)


@kept
def potato(length: float = 0.12, variety: int = 0) -> Asset:
    """A lumpy ellipsoid, `length` along x; every `variety` has its own lumps."""
    return scaled(_unit_potato(variety), length)


@functools.cache
def _unit_duck() -> Asset:
    body = smooth_union(
        ellipsoid((0.40, 0.29, 0.23)),
        placed(ellipsoid((0.22, 0.16, 0.12)), (-0.34, 0.0, 0.14), (0.0, 32.0, 0.0)),
        placed(ellipsoid((0.20, 0.22, 0.20)), (0.18, 0.0, 0.08)),
        blend=0.12,
    )
    tail = tapered_capsule((-0.40, 0.0, 0.16), (-0.53, 0.0, 0.30), 0.09, 0.015)
    neck = tapered_capsule((0.20, 0.0, 0.12), (0.24, 0.0, 0.36), 0.17, 0.13)
    torso = smooth_union(body, tail, neck, placed(sphere(0.20), (0.26, 0.0, 0.44)), blend=0.07)
    beak = smooth_union(
        placed(ellipsoid((0.12, 0.095, 0.035)), (0.48, 0.0, 0.425), (0.0, -12.0, 0.0)),
        placed(ellipsoid((0.10, 0.075, 0.035)), (0.46, 0.0, 0.375), (0.0, 6.0, 0.0)),
        blend=0.03,
    )
    wings = [
        smooth_union(
            placed(ellipsoid((0.21, 0.05, 0.12)), (-0.06, side * 0.26, 0.05), (side * 12.0, 18.0, side * 6.0)),
            tapered_capsule((-0.14, side * 0.28, 0.10), (-0.29, side * 0.26, 0.18), 0.05, 0.03),
            blend=0.07,
        )
        for side in (-1, 1)
    ]
    eyes = [placed(sphere(0.036), (0.40, side * 0.115, 0.51)) for side in (-1, 1)]
    figure = smooth_union(torso, *wings, beak, *eyes, blend=0.022)
    floating = difference(figure, placed(GROUND, (0.0, 0.0, -0.18)), blend=0.04)
    mesh = mesh_of_field(floating, (-0.62, -0.36, -0.24), (0.66, 0.36, 0.70), 50)
    colliders = [
        block((0.0, 0.0, -0.03), (0.26, 0.22, 0.15)),
        ball((0.20, 0.0, 0.07), 0.23),
        ball((-0.14, 0.0, 0.05), 0.22),
        ball((-0.36, 0.0, 0.14), 0.12),
        rod((-0.38, 0.0, 0.16), (-0.52, 0.0, 0.29), 0.04),
        ball((0.26, 0.0, 0.44), 0.20),
        block((0.48, 0.0, 0.40), (0.10, 0.07, 0.035)),
    ]
    return asset(mesh, colliders)


@functools.cache
def _unit_teapot() -> Asset:
    pot = smooth_union(
        ellipsoid((0.30, 0.30, 0.225)),
        placed(torus(0.155, 0.025), (0.0, 0.0, -0.205)),
        revolution([(0.0, -0.215), (0.15, -0.215), (0.15, -0.15), (0.0, -0.15)], 0.01),
        blend=0.03,
    )
    spout = tube(
        _curve((0.20, -0.07), (0.46, -0.10), (0.36, 0.13), (0.56, 0.21), points=9),
        np.linspace(0.085, 0.045, 9).tolist(),
    )
    handle = tube(_curve((-0.24, 0.13), (-0.56, 0.22), (-0.56, -0.16), (-0.22, -0.12), points=13), [0.030] * 13)
    lid = smooth_union(
        placed(ellipsoid((0.165, 0.165, 0.075)), (0.0, 0.0, 0.195)),
        placed(torus(0.160, 0.024), (0.0, 0.0, 0.195)),
        placed(ellipsoid((0.05, 0.05, 0.042)), (0.0, 0.0, 0.318)),
        tapered_capsule((0.0, 0.0, 0.25), (0.0, 0.0, 0.30), 0.03, 0.022),
        blend=0.02,
    )
    whole = smooth_union(smooth_union(pot, spout, handle, blend=0.05), lid, blend=0.02)
    poured = difference(
        whole, placed(ellipsoid((0.05, 0.03, 0.03)), (0.605, 0.0, 0.227), (0.0, -22.0, 0.0)), blend=0.02
    )
    mesh = mesh_of_field(poured, (-0.56, -0.34, -0.27), (0.64, 0.34, 0.40), 54)
    colliders = [
        disc(-0.235, -0.13, 0.19),
        disc(-0.13, 0.13, 0.27),
        disc(0.13, 0.23, 0.17),
        ball((0.0, 0.0, 0.315), 0.045),
        rod((0.22, 0.0, -0.08), (0.40, 0.0, 0.05), 0.065),
        rod((0.38, 0.0, 0.03), (0.53, 0.0, 0.19), 0.04),
        rod((-0.24, 0.0, 0.13), (-0.42, 0.0, 0.12), 0.03),
        rod((-0.46, 0.0, 0.12), (-0.46, 0.0, -0.06), 0.03),
        rod((-0.42, 0.0, -0.08), (-0.24, 0.0, -0.12), 0.03),
    ]
    return asset(mesh, colliders)


@functools.cache
def _unit_kettlebell() -> Asset:
    arc = [(0.21 * math.cos(t), 0.0, 0.47 + 0.16 * math.sin(t)) for t in np.linspace(0.0, math.pi, 9)]
    path: list[Vector] = [(0.17, 0.0, 0.16), (0.215, 0.0, 0.34), *arc, (-0.215, 0.0, 0.34), (-0.17, 0.0, 0.16)]
    handle = tube(path, [0.075, 0.056, *[0.046] * 9, 0.056, 0.075])
    whole = smooth_union(sphere(0.32), handle, blend=0.06)
    mesh = mesh_of_field(
        difference(whole, placed(GROUND, (0.0, 0.0, -0.27)), blend=0.03), (-0.4, -0.4, -0.36), (0.4, 0.4, 0.74), 50
    )
    colliders = [
        disc(-0.27, -0.20, 0.18),
        disc(-0.20, -0.10, 0.26),
        ball((0.0, 0.0, 0.04), 0.295),
        disc(-0.10, 0.10, 0.305),
        rod((0.18, 0.0, 0.2), (0.21, 0.0, 0.48), 0.05),
        rod((-0.18, 0.0, 0.2), (-0.21, 0.0, 0.48), 0.05),
        rod((0.20, 0.0, 0.52), (0.10, 0.0, 0.61), 0.046),
        rod((-0.20, 0.0, 0.52), (-0.10, 0.0, 0.61), 0.046),
        rod((-0.11, 0.0, 0.625), (0.11, 0.0, 0.625), 0.046),
    ]
    return asset(mesh, colliders)


@functools.cache
def _unit_statue() -> Asset:
    pedestal = filleted(
        [
            (0.0, 0.0, 0.0),
            (0.18, 0.0, 0.008),
            (0.18, 0.04, 0.012),
            (0.155, 0.07, 0.01),
            (0.09, 0.09, 0.02),
            (0.075, 0.18, 0.03),
            (0.12, 0.215, 0.015),
            (0.12, 0.25, 0.012),
            (0.0, 0.25, 0.0),
        ]
    )
    chest = smooth_union(
        placed(ellipsoid((0.12, 0.15, 0.15)), (0.0, 0.0, 0.34)),
        tapered_capsule((0.0, -0.10, 0.42), (0.0, -0.20, 0.37), 0.075, 0.065),
        tapered_capsule((0.0, 0.10, 0.42), (0.0, 0.20, 0.37), 0.075, 0.065),
        blend=0.08,
    )
    trunk = difference(chest, placed(GROUND, (0.0, 0.0, 0.235)), blend=0.03)
    neck = tapered_capsule((-0.015, 0.0, 0.44), (0.015, 0.0, 0.62), 0.075, 0.06)
    bust = smooth_union(_skull(), neck, trunk, blend=0.035)
    mesh = joined(mesh_of_field(bust, (-0.20, -0.31, 0.20), (0.24, 0.31, 0.98), 46), lathe(pedestal))
    colliders = [
        disc(0.0, 0.06, 0.175),
        disc(0.06, 0.24, 0.095),
        block((0.0, 0.0, 0.355), (0.10, 0.14, 0.11)),
        rod((0.0, -0.24, 0.375), (0.0, 0.24, 0.375), 0.068),
        disc(0.44, 0.62, 0.07),
        ball((0.03, 0.0, 0.70), 0.115),
        ball((0.0, 0.0, 0.78), 0.13),
    ]
    return asset(mesh, colliders)


def _skull() -> Field:
    """The head of the bust: skull, jaw, nose, brows, ears, hair; eyes are hollows."""
    bone = smooth_union(
        placed(ellipsoid((0.135, 0.115, 0.13)), (0.0, 0.0, 0.78)),
        placed(ellipsoid((0.085, 0.075, 0.11)), (0.055, 0.0, 0.68)),
        placed(sphere(0.03), (0.115, 0.0, 0.605)),
        blend=0.06,
    )
    hollows = [placed(ellipsoid((0.03, 0.032, 0.022)), (0.152, side * 0.045, 0.747)) for side in (-1, 1)]
    face = difference(bone, *hollows, blend=0.02)
    features = [
        tapered_capsule((0.135, 0.0, 0.755), (0.152, 0.0, 0.692), 0.010, 0.019),
        capsule((0.133, -0.018, 0.645), (0.133, 0.018, 0.645), 0.012),
        *(capsule((0.132, side * 0.02, 0.775), (0.115, side * 0.07, 0.775), 0.013) for side in (-1, 1)),
        *(placed(ellipsoid((0.028, 0.014, 0.04)), (0.01, side * 0.115, 0.72)) for side in (-1, 1)),
    ]
    hair = placed(ellipsoid((0.13, 0.128, 0.12)), (-0.025, 0.0, 0.81))
    return smooth_union(smooth_union(face, *features, blend=0.02), hair, blend=0.012)


@functools.cache
def _unit_wrench() -> Asset:
    def plate(radius: float, x: float, thickness: float) -> Field:
        profile = [
            (0.0, 0.01 - thickness),
            (radius, 0.01 - thickness),
            (radius, thickness - 0.01),
            (0.0, thickness - 0.01),
        ]
        return placed(revolution(profile, 0.01), (x, 0.0, 0.0))

    shank = rounded_box((0.40, 0.042, 0.022), 0.015)
    solid = smooth_union(shank, plate(0.105, 0.385, 0.034), plate(0.082, -0.40, 0.034), blend=0.03)
    jaw = placed(rounded_box((0.12, 0.055, 0.2), 0.03), (0.49, 0.03, 0.0), (0.0, 0.0, 15.0))
    hole = capsule((-0.40, 0.0, -0.2), (-0.40, 0.0, 0.2), 0.048)
    mesh = mesh_of_field(difference(solid, jaw, hole, blend=0.012), (-0.54, -0.15, -0.06), (0.56, 0.15, 0.06), 110)
    colliders = [
        block((-0.02, 0.0, 0.0), (0.33, 0.042, 0.022)),
        block((0.325, 0.0, 0.0), (0.045, 0.09, 0.036)),
        block((0.42, 0.088, 0.0), (0.06, 0.02, 0.036), (0.0, 0.0, 15.0)),
        block((0.43, -0.07, 0.0), (0.07, 0.025, 0.036), (0.0, 0.0, 15.0)),
        *(
            block(
                (-0.40 + 0.071 * math.cos(t), 0.071 * math.sin(t), 0.0),
                (0.021, 0.038, 0.036),
                (0.0, 0.0, math.degrees(t)),
            )
            for t in np.arange(8) * math.pi / 4
        ),
    ]
    return asset(mesh, colliders)


@functools.lru_cache(maxsize=16)
def _unit_potato(variety: int) -> Asset:
    rng = np.random.default_rng(variety)
    waves, phases = rng.normal(0.0, 6.0, (6, 3)), rng.uniform(0.0, 2 * np.pi, 6)
    smooth = ellipsoid((0.5, 0.36, 0.31))

    def lumpy(points: Array) -> Array:
        return smooth(points) + 0.012 * np.sin(points @ waves.T + phases).sum(axis=-1)

    mesh = mesh_of_field(lumpy, (-0.62, -0.48, -0.43), (0.62, 0.48, 0.43), 40)
    spots = [(0.0, 0.0, 0.29), (-0.2, 0.0, 0.27), (0.2, 0.0, 0.27), (0.0, 0.1, 0.25), (0.0, -0.1, 0.25)]
    return asset(mesh, [ball((x, y, 0.0), radius) for x, y, radius in spots])


def _curve(*controls: tuple[float, float], points: int) -> list[Vector]:
    """Points of a cubic Bezier curve in the xz plane."""
    t = np.linspace(0.0, 1.0, points)[:, None]
    a, b, c, d = np.asarray(controls)
    curve = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    return [(float(x), 0.0, float(z)) for x, z in curve]
