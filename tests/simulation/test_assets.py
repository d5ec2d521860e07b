"""Assets: the mesher against analytic volumes and its own field; every item of the catalogue closed, sized, and filled
by its colliders."""

import math
from collections.abc import Sequence

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation import assets
from phys4d_kedro.simulation.assets import Asset, fields
from phys4d_kedro.simulation.assets.fields import Array, Field
from phys4d_kedro.simulation.assets.meshing import mesh_of_field, volume_and_centroid
from phys4d_kedro.simulation.assets.sweeping import filleted, lathe, swept
from phys4d_kedro.simulation.description import Part, Vector, rotation_matrix
from phys4d_kedro.simulation.rendering.scene import Box, Cylinder, Mesh, Sphere

# Name to what its docstring promises, for the default sizes: extents (x, y, z) in metres, None where nothing is said.
SOLID: dict[str, tuple[float | None, float | None, float | None]] = {
    "duck": (0.2, None, None),
    "teapot": (0.28, None, None),
    "kettlebell": (None, None, 0.24),
    "pillow": (0.5, 0.4, 0.15),
    "statue": (None, None, 0.4),
    "wrench": (0.25, None, None),
    "potato": (0.12, None, None),
    "cork": (0.03, 0.03, 0.045),
    "candle": (0.07, 0.07, 0.14 + 0.5 * 0.035),
    "roly_poly": (0.16, 0.16, None),
    "cone": (0.12, 0.12, 0.15),
    "balloon": (0.24, 0.24, 2.62 * 0.12),
}
HOLLOW: dict[str, tuple[float | None, float | None, float | None]] = {
    "mug": (2.75 * 0.042, 2 * 0.042, 0.095),
    "bowl": (0.18, 0.18, 0.07),
    "glass": (0.07, 0.07, 0.12),
    "tank": (0.408, 0.258, 0.254),
    "basket": (0.3, 0.3, 0.16),
    "hourglass_glass": (0.14, 0.14, 0.3),
}
CATALOGUE = SOLID | HOLLOW


def make(name: str) -> Asset:
    made: Asset = getattr(assets, name)()
    return made


def assert_closed(mesh: Mesh) -> None:
    """Every edge belongs to two faces, which run along it in opposite directions."""
    edges = np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]).astype(np.int64)
    forth = np.sort(edges[:, 0] * len(mesh.vertices) + edges[:, 1])
    back = np.sort(edges[:, 1] * len(mesh.vertices) + edges[:, 0])
    assert (np.diff(forth) > 0).all()
    assert np.array_equal(forth, back)


def face_normals(mesh: Mesh) -> NDArray[np.float64]:
    a, b, c = np.moveaxis(mesh.vertices.astype(np.float64)[mesh.faces], 1, 0)
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    assert (lengths > 0).all()
    return np.asarray(normals / lengths)


def in_parts(parts: Sequence[Part], points: Array) -> NDArray[np.bool_]:
    """Which points (N, 3) lie in at least one collider."""
    inside = np.zeros(len(points), dtype=bool)
    for part in parts:
        local = (points - np.asarray(part.position)) @ rotation_matrix(part.rotation)
        match part.shape:
            case Sphere(radius=radius):
                inside |= np.linalg.norm(local, axis=-1) <= radius
            case Box(half_extents=half):
                inside |= (np.abs(local) <= half).all(axis=-1)
            case Cylinder(radius=radius, half_height=half_height):
                inside |= (np.hypot(local[:, 0], local[:, 1]) <= radius) & (np.abs(local[:, 2]) <= half_height)
    return inside


def bounds(parts: Sequence[Part]) -> tuple[Array, Array]:
    """Lower and upper corner of what the colliders fill, exactly."""
    reaches = []
    for part in parts:
        turn = rotation_matrix(part.rotation)
        match part.shape:
            case Sphere(radius=radius):
                reach = np.full(3, radius)
            case Box(half_extents=half):
                reach = np.abs(turn) @ half
            case Cylinder(radius=radius, half_height=half_height):
                axis = turn[:, 2]
                reach = half_height * np.abs(axis) + radius * np.sqrt(np.maximum(1.0 - axis**2, 0.0))
        reaches.append(reach)
    positions = np.array([part.position for part in parts])
    return (positions - reaches).min(axis=0), (positions + reaches).max(axis=0)


def filled(parts: Sequence[Part], lower: Array, upper: Array) -> float:
    """Volume of the union of the colliders, by Monte Carlo."""
    points = np.random.default_rng(0).uniform(lower, upper, (40_000, 3))
    return float(in_parts(parts, points).mean() * np.prod(upper - lower))


FIELDS: dict[str, tuple[Field, Vector, float]] = {
    "sphere": (fields.sphere(1.0), (1.0, 1.0, 1.0), 4 / 3 * math.pi),
    "ellipsoid": (fields.ellipsoid((1.0, 0.6, 0.4)), (1.0, 0.6, 0.4), 4 / 3 * math.pi * 0.24),
    "torus": (fields.torus(1.0, 0.3), (1.3, 1.3, 0.3), 2 * math.pi**2 * 0.09),
    "capsule": (
        fields.capsule((0.0, 0.0, -0.5), (0.0, 0.0, 0.5), 0.3),
        (0.3, 0.3, 0.8),
        math.pi * 0.09 + 4 / 3 * math.pi * 0.027,
    ),
    "cylinder": (
        fields.revolution([(0.0, -0.4), (0.5, -0.4), (0.5, 0.4), (0.0, 0.4)], 0.1),
        (0.6, 0.6, 0.5),
        # The straight solid, its layers 0.1 thick, and the quarter of a torus around each rim.
        math.pi * (0.25 * 0.8 + 2 * 0.25 * 0.1 + (0.36 - 0.25) * 0.8)
        + 2 * (0.25 * math.pi * 0.01) * 2 * math.pi * (0.5 + 4 * 0.1 / (3 * math.pi)),
    ),
    "box": (
        fields.rounded_box((0.5, 0.4, 0.3), 0.1),
        (0.5, 0.4, 0.3),
        8 * 0.4 * 0.3 * 0.2
        + 0.2 * 4 * (0.4 * 0.3 + 0.3 * 0.2 + 0.4 * 0.2)
        + math.pi * 0.01 * 2 * (0.4 + 0.3 + 0.2)
        + 4 / 3 * math.pi * 0.001,
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_mesh_of_field_has_the_analytic_volume_and_lies_on_the_surface(name: str) -> None:
    field, half, volume = FIELDS[name]
    x, y, z = (1.1 * h for h in half)
    mesh = mesh_of_field(field, (-x, -y, -z), (x, y, z), 40)
    assert_closed(mesh)
    found, centre = volume_and_centroid(mesh)
    assert found == pytest.approx(volume, rel=0.02)
    assert np.abs(centre).max() < 2e-3
    assert np.abs(field(mesh.vertices.astype(np.float64))).max() < 1e-3 * max(half)
    assert mesh.normals is not None
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1.0, atol=1e-5)
    alignment = np.einsum("fi,fi->f", face_normals(mesh), mesh.normals[mesh.faces].mean(axis=1))
    assert alignment.min() > 0.5
    assert np.median(alignment) > 0.97


def test_surface_that_touches_itself_is_still_closed() -> None:
    """Two boxes that meet in an edge alone, along the grid: four faces would share each edge of it."""
    cube = fields.rounded_box((0.25, 0.25, 0.25), 1e-6)
    both = fields.union(fields.placed(cube, (-0.25, -0.25, 0.0)), fields.placed(cube, (0.249, 0.249, 0.0)))
    assert_closed(mesh_of_field(both, (-0.7, -0.7, -0.7), (0.7, 0.7, 0.7), 20))


def test_mesh_of_field_names_a_box_that_is_too_small() -> None:
    with pytest.raises(ConfigurationError, match="must lie between"):
        mesh_of_field(fields.sphere(1.0), (-1.1, -1.1, 0.0), (1.1, 1.1, 1.1), 16)
    with pytest.raises(ConfigurationError, match="must lie between"):
        mesh_of_field(fields.placed(fields.sphere(1.0), (5.0, 0.0, 0.0)), (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), 16)


def test_smooth_union_fills_the_crease_and_nothing_else() -> None:
    a, b = fields.sphere(1.0), fields.placed(fields.sphere(1.0), (1.5, 0.0, 0.0))
    blended, plain = fields.smooth_union(a, b, blend=0.3), fields.union(a, b)
    points = np.array([[0.75, 0.7, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    # In the middle both distances are equal and the smooth minimum is a quarter of the blend below them.
    assert blended(points)[0] == pytest.approx(plain(points)[0] - 0.3 / 4)
    np.testing.assert_allclose(blended(points)[1:], plain(points)[1:])


def test_difference_is_inside_the_first_and_outside_the_second() -> None:
    cut = fields.difference(fields.sphere(1.0), fields.placed(fields.sphere(0.5), (1.0, 0.0, 0.0)), blend=1e-3)
    np.testing.assert_array_equal(
        cut(np.array([[-0.5, 0.0, 0.0], [0.8, 0.0, 0.0], [2.0, 0.0, 0.0]])) < 0, [True, False, False]
    )


def test_placed_turns_then_moves() -> None:
    rod = fields.placed(fields.capsule((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.1), (2.0, 0.0, 0.0), (0.0, 0.0, 90.0))
    assert rod(np.array([2.0, 1.1, 0.0])) == pytest.approx(0.0)


def test_lathe_and_tube_have_the_analytic_volume() -> None:
    sides = 64
    polygon = sides / (2 * math.pi) * math.sin(2 * math.pi / sides)  # of a circle's area
    cup = lathe(filleted([(0, 0, 0), (1.0, 0, 0), (1.0, 2.0, 0), (0.8, 2.0, 0), (0.8, 0.2, 0), (0, 0.2, 0)]), sides)
    assert_closed(cup)
    assert volume_and_centroid(cup)[0] == pytest.approx(polygon * math.pi * (2.0 - 0.64 * 1.8), rel=1e-5)
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    ring = np.stack((np.cos(angles), np.sin(angles), 0 * angles), axis=-1)
    torus = swept(ring, 0.2, (0.0, 0.0, 1.0), closed=True, sides=64)
    assert_closed(torus)
    assert volume_and_centroid(torus)[0] == pytest.approx(2 * math.pi**2 * 0.04, rel=0.01)
    straight = swept([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0)], 0.2, (0.0, 1.0, 0.0), sides=64)
    assert_closed(straight)
    assert volume_and_centroid(straight)[0] == pytest.approx(math.pi * 0.04, rel=0.01)


def test_fillets_are_tangent_to_both_edges() -> None:
    profile = filleted([(0.0, 0.0, 0.0), (1.0, 0.0, 0.2), (1.0, 1.0, 0.0), (0.0, 1.0, 0.0)], 8)
    arc = profile[1:10]
    np.testing.assert_allclose(np.linalg.norm(arc - (0.8, 0.2), axis=-1), 0.2, atol=1e-12)
    np.testing.assert_allclose(arc[[0, -1]], [(0.8, 0.0), (1.0, 0.2)], atol=1e-12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_item_is_closed_centred_and_as_large_as_it_says(name: str) -> None:
    made = make(name)
    assert_closed(made.mesh)
    volume, centre = volume_and_centroid(made.mesh)
    extents = np.ptp(made.mesh.vertices, axis=0)
    assert volume > 0
    assert np.abs(centre).max() < 1e-4 * extents.max()
    assert made.mesh.vertices[:, 2].min() == pytest.approx(-made.height)
    assert len(made.mesh.faces) < 12_000
    for found, expected in zip(extents, CATALOGUE[name], strict=True):
        assert expected is None or found == pytest.approx(expected, rel=0.05)
    if made.mesh.normals is not None:
        np.testing.assert_allclose(np.linalg.norm(made.mesh.normals, axis=-1), 1.0, atol=1e-5)
        alignment = np.einsum("fi,fi->f", face_normals(made.mesh), made.mesh.normals[made.mesh.faces].mean(axis=1))
        assert alignment.min() > 0.2
        assert np.quantile(alignment, 0.05) > 0.5


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in ("hourglass_glass", "tank")])
def test_colliders_stand_on_the_ground_within_the_bounding_box(name: str) -> None:
    made = make(name)
    lower, upper = bounds(made.colliders)
    vertices = made.mesh.vertices
    margin = 0.05 * np.ptp(vertices, axis=0).max()
    assert (lower > vertices.min(axis=0) - margin).all()
    assert (upper < vertices.max(axis=0) + margin).all()
    # A thing placed half a millimetre above the ground does not start in it.
    assert -made.height - 5e-4 < lower[2] < -made.height + 0.03 * np.ptp(vertices[:, 2])


@pytest.mark.parametrize("name", SOLID)
def test_colliders_fill_the_volume_of_the_mesh(name: str) -> None:
    made = make(name)
    volume, _ = volume_and_centroid(made.mesh)
    assert filled(made.colliders, *bounds(made.colliders)) == pytest.approx(volume, rel=0.3)


@pytest.mark.parametrize(
    ("name", "radius", "floor", "rim"),
    [
        ("mug", 0.037, 0.005, 0.095),
        ("bowl", 0.085, 0.0067, 0.07),
        ("glass", 0.032, 0.009, 0.12),
        ("basket", 0.119, 0.0149, 0.16),
        ("tank", 0.125, 0.004, 0.254),
    ],
)
def test_vessels_hold_what_is_put_in_and_keep_it_in(name: str, radius: float, floor: float, rim: float) -> None:
    """`radius` is that of the cavity at its rim; heights are above the ground."""
    made = make(name)
    axis = np.stack([np.zeros(50), np.zeros(50), np.linspace(floor + 1e-4, rim, 50) - made.height], axis=-1)
    if name == "mug":  # Its handle moves the centre of volume off the axis.
        axis[:, 0] = made.mesh.vertices[:, 0].min() + 0.042
    assert not in_parts(made.colliders, axis).any()
    assert in_parts(made.colliders, axis[:1] - (0.0, 0.0, 1.2e-3)).all()
    turn = np.linspace(0, 2 * np.pi, 90)
    around = np.stack((np.cos(turn), np.sin(turn), 0 * turn), axis=-1)
    near_rim = axis[-2] + 0.9 * radius * around
    assert not in_parts(made.colliders, near_rim).any()
    rays = axis[10:-2:4, None, None] + np.linspace(0, 1.9 * radius, 400)[:, None, None] * around
    assert in_parts(made.colliders, rays.reshape(-1, 3)).reshape(rays.shape[:3]).any(axis=1).all()


@pytest.mark.parametrize("sizes", [(0.3, 0.07, 0.008, 0.003), (0.36, 0.06, 0.012, 0.004)])
def test_hourglass_is_open_through_its_neck_and_closed_around(sizes: tuple[float, float, float, float]) -> None:
    height, neck, wall = sizes[0], *sizes[2:]
    thickness = 0.02
    parts = assets.hourglass_colliders(*sizes, thickness)
    made = assets.hourglass_glass(*sizes)
    z = np.linspace(-height / 2 + wall + 1e-4, height / 2 - wall - 1e-4, 200)
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    around = np.stack((np.cos(turn), np.sin(turn), 0 * turn), axis=-1)
    axis = np.stack((0 * z, 0 * z, z), axis=-1)
    # Nothing but air within 0.93 of the neck's radius, from lid to lid.
    assert not in_parts(parts, (axis[:, None] + 0.93 * neck * around).reshape(-1, 3)).any()
    # The glass's inner face is that part of the mesh which looks inwards; what lies just behind it collides, at least
    # as far as the walls are thick.
    assert made.mesh.normals is not None
    outwards = made.mesh.vertices[:, :2] * made.mesh.normals[:, :2]
    inner = (outwards.sum(axis=-1) < 0) & (np.hypot(*made.mesh.vertices[:, :2].T) > 1e-3)
    for depth in (0.1 * thickness, 0.5 * thickness, 0.99 * thickness):
        behind = made.mesh.vertices[inner] - depth * made.mesh.normals[inner]
        assert in_parts(parts, behind).all()
    assert in_parts(parts, np.array([[0.0, 0.0, height / 2], [0.0, 0.0, -height / 2]])).all()
    # The bulbs hold nearly what the glass does: the colliders start 14-sided within it.
    inside = made.mesh.vertices[inner] * (0.94, 0.94, 0.98) + made.mesh.normals[inner] * 1e-3
    assert in_parts(parts, inside).mean() < 0.02


def test_hourglass_too_flat_for_its_funnels_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="higher or narrower"):
        assets.hourglass_glass(0.15, 0.07)


def test_tank_colliders_are_thick_and_begin_at_the_cavity() -> None:
    tank = assets.tank(0.4, 0.25, 0.25, 0.004, 0.03)
    lower, upper = bounds(tank.colliders)
    np.testing.assert_allclose(upper - lower, (0.46, 0.31, 0.28), atol=1e-9)
    just_in = np.array([[0.1999, 0, 0], [0, 0.1249, 0], [0, 0, 0.0041 - tank.height]])
    just_out = np.array([[0.2001, 0, 0], [0, 0.1251, 0], [0, 0, 0.0039 - tank.height]])
    assert not in_parts(tank.colliders, just_in).any()
    assert in_parts(tank.colliders, just_out).all()


STANDING = [name for name in CATALOGUE if name not in ("hourglass_glass", "tank", "potato", "balloon")]


@pytest.mark.parametrize("name", STANDING)
def test_item_stands_where_its_height_says_with_the_mass_of_its_mesh(name: str) -> None:
    """MuJoCo: half a millimetre above the ground at first, it falls by that and does not tip."""
    made = make(name)
    spec = mujoco.MjSpec()
    spec.option.timestep = 1e-3
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 0.1])
    body = spec.worldbody.add_body(pos=[0, 0, made.height + 5e-4])
    body.add_freejoint()
    for part in made.colliders:
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, rotation_matrix(part.rotation).ravel())
        match part.shape:
            case Sphere(radius=radius):
                kind, size = mujoco.mjtGeom.mjGEOM_SPHERE, [radius, 0, 0]
            case Box(half_extents=half):
                kind, size = mujoco.mjtGeom.mjGEOM_BOX, list(half)
            case Cylinder(radius=radius, half_height=half_height):
                kind, size = mujoco.mjtGeom.mjGEOM_CYLINDER, [radius, half_height, 0]
        body.add_geom(type=kind, size=size, pos=part.position, quat=quaternion, density=1000 / made.filling)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1000)
    assert model.body_mass[1] == pytest.approx(1000 * volume_and_centroid(made.mesh)[0], rel=1e-3)
    extent = np.ptp(made.mesh.vertices[:, 2])
    np.testing.assert_allclose(data.qpos[:3], (0, 0, made.height), atol=0.03 * extent + 1e-3)
    assert data.qpos[3] > math.cos(math.radians(1.0) / 2)


def test_roly_poly_rights_itself() -> None:
    """The centre of mass of the colliders lies below that of the sphere it rolls on, by what its docstring says."""
    made = assets.roly_poly(0.08)
    volumes, heights = [], []
    for part in made.colliders:
        match part.shape:
            case Sphere(radius=radius):
                volumes.append(4 / 3 * math.pi * radius**3)
                heights.append(part.position[2])
            case Cylinder(radius=radius, half_height=half):
                volumes.append(2 * math.pi * radius**2 * half)
                heights.append(part.position[2])
    assert len(volumes) == len(made.colliders)
    below = np.average(heights, weights=volumes) - (0.08 - made.height)
    assert below == pytest.approx(-0.14 * 0.08, rel=0.05)


@pytest.mark.parametrize("trough", [False, True])
def test_channel_is_as_long_and_wide_as_asked_and_has_its_edge_at_the_origin(trough: bool) -> None:
    parts = assets.channel(1.0, 0.1, 0.01, trough=trough)
    lower, upper = bounds(parts)
    assert upper[0] - lower[0] == pytest.approx(1.0)
    assert upper[2] == pytest.approx(0.05)
    half = 0.05 if trough else 0.045  # at a height of 0.045
    inside = np.array([[0.4, y, 0.045] for y in (-0.999 * half, 0.0, 0.999 * half)])
    assert not in_parts(parts, inside).any()
    assert in_parts(parts, inside[[0, 2]] * (1.0, 1.01, 1.0)).all()
    assert not in_parts(parts, np.array([[0.0, 0.0, 1e-4]])).any()
    assert in_parts(parts, np.array([[0.0, 0.0, -1e-4]])).all()


def test_an_asset_is_built_once_and_always_the_same() -> None:
    assert assets.duck() is assets.duck(length=0.20001)
    assert assets.mug() is assets.mug()
    assert assets.potato(0.1, 1) is not assets.potato(0.1, 2)
    once = assets.potato(0.1, 17)
    assert not np.array_equal(once.mesh.vertices, assets.potato(0.1, 18).mesh.vertices)
    for variety in range(100, 200):  # More than are kept.
        assets.cork(0.001 * variety)
        assets.potato(0.1, variety)
    again = assets.potato(0.1, 17)
    assert again is not once
    for name in ("vertices", "faces", "normals"):
        np.testing.assert_array_equal(getattr(again.mesh, name), getattr(once.mesh, name))


def test_scaling_keeps_the_shape() -> None:
    small, large = assets.teapot(0.2), assets.teapot(0.4)
    np.testing.assert_allclose(large.mesh.vertices, 2 * small.mesh.vertices, atol=1e-6)
    assert large.height == pytest.approx(2 * small.height)
    for one, other in zip(small.colliders, large.colliders, strict=True):
        np.testing.assert_allclose(other.position, 2 * np.asarray(one.position), atol=1e-6)
