"""Mirrors, glass and panoramas of the renderer against the laws of reflection, Snell, Fresnel, Beer and Lambert."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rendering_scenes import look_at, pixel_rays, playground, pose, scene, sphere

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.renderer import RenderOutput, render
from phys4d_kedro.simulation.rendering.scene import Box, Material, Plane, RenderScene, Sky, Sphere, Sun, Surface

WHITE, BLACK, RED = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)
NIGHT = Sun(intensity=0)
# Light from below alone, so that bodies are seen before a black sky; a white sky that lights nothing.
DARK_SKY = Sky(zenith=BLACK, horizon=BLACK, ground=WHITE, haze=float("inf"))
WHITE_SKY = Sky(zenith=WHITE, horizon=WHITE, ground=WHITE, haze=float("inf"), intensity=0)


def matte(colour: tuple[float, float, float]) -> Material:
    return Material(colour=colour, roughness=1, specular=0)


def glass(index: float = 1.5, **looks: Any) -> Material:
    return Material(**{"colour": WHITE, "transmission": 1.0, "refractive_index": index, "roughness": 0.0, **looks})


def linear(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Radiance of sRGB bytes, below 0.6; the tone curve bends above."""
    c = rgb / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def mirror_and_ball(mirror: bool) -> RenderScene:
    """A mirror at depth 3 faces the camera; a red ball beside the camera's view, at depth 1."""
    return scene(
        (Box(half_extents=(2, 2, 0.05)), pose((0, 0, 3.05))),
        (Sphere(radius=0.1), pose((0.7, -0.2, 1))),
        size=65,
        materials=[Material(colour=BLACK, mirror=mirror, roughness=0, specular=1), matte(RED)],
        sun=NIGHT,
        sky=DARK_SKY,
    )


def test_plane_mirror_shows_the_virtual_image() -> None:
    out = render(mirror_and_ball(mirror=True), 65, 65, samples=8, seed=0)
    red = linear(out.rgb[0])[..., 0]
    rows, columns = np.mgrid[:65, :65] + 0.5
    # The virtual image stands as far behind the mirror as the ball stands before it, at depth 5.
    assert (columns * red).sum() / red.sum() == pytest.approx(32.5 + 65 * 0.7 / 5, abs=0.3)
    assert (rows * red).sum() / red.sum() == pytest.approx(32.5 - 65 * 0.2 / 5, abs=0.3)
    assert (red > 0.5 * red.max()).sum() == pytest.approx(np.pi * (65 * 0.1 / 5) ** 2, abs=2)
    # The annotations are those of the mirror itself.
    assert (out.segmentation == 1).all()
    np.testing.assert_allclose(out.depth, 3, rtol=1e-6)
    assert render(mirror_and_ball(mirror=False), 65, 65, samples=8, seed=0).rgb[0].max() == 0


def test_mirrors_that_face_each_other() -> None:
    """Of a ball between two mirrors the first sees images through up to four bounces, at known places."""
    mirror = Material(colour=BLACK, mirror=True, roughness=0, specular=1)
    camera = look_at((0, 0, 0), (0, 1, 0))
    made = scene(
        (Box(half_extents=(3, 3, 0.05)), camera @ pose((0, 0, 2.05))),
        (Box(half_extents=(3, 3, 0.05)), camera @ pose((0, 0, -1.05))),
        (Sphere(radius=0.1), camera @ pose((0.9, 0, 1))),
        size=129,
        camera=camera,
        materials=[mirror, mirror, matte(RED)],
        sun=NIGHT,
        sky=DARK_SKY,
    )
    line = linear(render(made, 129, 129, samples=8, seed=0).rgb[0, 64:65])[0, :, 0]
    # The mirrors lie 3 m apart: images at depth 3 (one bounce), 4 + 3 (two: seen past the camera), 9, ...
    for depth in (3, 7, 9):
        column = int(64.5 + 129 * 0.9 / depth)
        assert line[column - 1 : column + 2].max() > 0.2


def test_slab_displaces_what_is_behind_it() -> None:
    """A slab 0.5 m thick, tilted by 40 degrees, moves a ray sideways by d sin(i - r) / cos r."""
    tilt, index, focal = np.radians(40), 1.5, 200.0
    bodies = (
        (Plane(half_size=(9, 9)), pose((0, 0, 4))),
        (Plane(half_size=(5, 9)), pose((5, 0, 3.999))),
        (Box(half_extents=(2, 2, 0.25)), pose((0, 0, 2), (0, 1, 0), tilt)),
    )
    edges = []
    for refractive_index in (1.0, index):
        made = scene(
            *bodies,
            size=65,
            focal=focal,
            materials=[matte(WHITE), matte(BLACK), glass(refractive_index)],
            sun=NIGHT,
            sky=DARK_SKY,
        )
        out = render(made, 65, 65, samples=32, seed=0)
        assert (out.segmentation == 3).all() == (refractive_index > 1)  # panes are looked through
        line = linear(out.rgb[0, 32, :, 1])
        after = int(np.argmax(line < 0.5 * line[0]))
        edges.append(after + min(line[after - 1] / line[after - 2], 1) + line[after] / line[after - 2])
    # The edge at x = 0 is seen along the ray that the slab moves by s from a distance of 4 m: sin(angle) = s / 4.
    seen = 0.0
    for _ in range(9):
        before = tilt - seen
        after = np.arcsin(np.sin(before) / index)
        seen = -np.arcsin(0.5 * np.sin(before - after) / np.cos(after) / 3.999)
    assert edges[1] - edges[0] == pytest.approx(focal * np.tan(seen), abs=0.3)


def exact_reflectance(degrees: float, index: float) -> float:
    i = np.radians(degrees)
    t = np.arcsin(np.sin(i) / index)
    across = (np.cos(i) - index * np.cos(t)) / (np.cos(i) + index * np.cos(t))
    along = (index * np.cos(i) - np.cos(t)) / (index * np.cos(i) + np.cos(t))
    return float((across**2 + along**2) / 2)


@pytest.mark.parametrize("degrees", [0.0, 45.0, 70.0])
def test_fresnel_reflectance(degrees: float) -> None:
    """Water over a black ground under a white sky shows the share that it reflects; at 0 that is ((n-1)/(n+1))^2."""
    turned = pose((0, 0, 2), (1, 0, 0), np.pi + np.radians(degrees))
    below = turned @ pose((0, 0, -1))
    made = scene(
        (Plane(half_size=(30, 30)), turned),
        (Plane(half_size=(30, 30)), below),
        focal=330,
        materials=[glass(1.33), matte(BLACK)],
        sun=NIGHT,
        sky=WHITE_SKY,
    )
    seen = linear(render(made, 33, 33, samples=1, seed=0).rgb[0, 16, 16])
    assert seen == pytest.approx(exact_reflectance(degrees, 1.33), rel=0.03, abs=0.001)
    if degrees == 0:
        assert seen == pytest.approx((0.33 / 2.33) ** 2, rel=0.03)


def test_slab_passes_what_it_does_not_reflect() -> None:
    """Over both faces and all echoes between them, a slab passes (1 - R) / (1 + R)."""
    wall = (Plane(half_size=(9, 9)), pose((0, 0, 4)))
    slab = (Box(half_extents=(2, 2, 0.25)), pose((0, 0, 2)))
    lit = {"sun": NIGHT, "sky": replace(DARK_SKY, intensity=1.5)}
    plain = render(scene(wall, materials=[matte(WHITE)], **lit), 33, 33, samples=1, seed=0)
    behind = render(scene(wall, slab, materials=[matte(WHITE), glass()], **lit), 33, 33, samples=1, seed=0)
    share = linear(behind.rgb[0, 16, 16]) / linear(plain.rgb[0, 16, 16])
    assert share == pytest.approx(0.96 / 1.04, abs=0.01)


def test_total_internal_reflection() -> None:
    """From under water the sky is seen in a disc of the critical angle alone: tan = 1 / sqrt(n^2 - 1)."""
    made = scene(
        (Plane(half_size=(90, 90)), pose((0, 0, 1))),
        (Plane(half_size=(90, 90)), pose((0, 0, -1))),
        size=129,
        focal=43,
        materials=[glass(1.33), matte(BLACK)],
        sun=NIGHT,
        sky=WHITE_SKY,
    )
    seen = render(made, 129, 129, samples=8, seed=0).rgb[0, ..., 1] > 60
    assert np.sqrt(seen.sum() / np.pi) == pytest.approx(43 / np.sqrt(1.33**2 - 1), abs=1)


def test_panes_are_looked_through() -> None:
    """Glass that bends nothing leaves all annotations as they are; colours too, but for what it reflects and tints."""
    balls = [(Sphere(radius=0.3), pose((x, 0.8, 0.3))) for x in (-0.4, 0.4)]
    pane = (Sphere(radius=0.5), pose((0, -0.6, 0.6)))
    camera = look_at((0, -3, 1.2), (0, 0, 0.3))

    def rendered(*glasses: Material) -> RenderOutput:
        looks = [matte((0.6, 0.6, 0.6)), matte(RED), matte((0.2, 0.4, 0.9)), *glasses]
        bodies = [(Plane(), pose()), *balls, *[pane for _ in glasses]]
        lit = {"camera": camera, "size": 96, "materials": looks, "sun": Sun(direction=(0.2, -1, 1)), "frames": 2}
        return render(scene(*bodies, **lit), 96, 96, samples=1, seed=0)

    without, clear, glassy = rendered(), rendered(replace(glass(1.0), specular=0.0)), rendered(glass(1.0))
    for behind in (clear, glassy):
        assert np.array_equal(behind.depth, without.depth)
        assert np.array_equal(behind.segmentation, without.segmentation)
        assert np.array_equal(behind.motion_valid, without.motion_valid)
    assert np.abs(clear.rgb.astype(int) - without.rgb).max() <= 1
    assert (np.abs(glassy.rgb.astype(int) - without.rgb).max(-1) > 2).sum() > 500


def test_coloured_glass_absorbs_along_the_way() -> None:
    """Beer and Lambert: over 0.4 m at a clarity of 0.2 m the colour is squared."""
    wall, slab = (Plane(half_size=(9, 9)), pose((0, 0, 4))), (Box(half_extents=(2, 2, 0.2)), pose((0, 0, 2)))
    looks = [matte(WHITE), glass(1.0, colour=(1.0, 0.8, 0.5), clarity=0.2)]
    made = scene(wall, slab, materials=looks, sun=NIGHT, sky=DARK_SKY)
    seen = linear(render(made, 33, 33, samples=1, seed=0).rgb[0, 16, 16])
    expected = linear(np.array((255, 204, 127.5))) ** 2
    assert seen / seen[0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("looks", [glass(), Material(colour=BLACK, mirror=True, roughness=0, specular=0.9)])
def test_exact_ball_and_triangles_agree(looks: Material) -> None:
    vertices, faces = sphere(96, radius=0.5)
    shapes = (Sphere(radius=0.5), Surface(vertices=[vertices], faces=[faces]))
    exact, mesh = (
        render(
            scene(
                (Plane(), pose()),
                (Box(half_extents=(0.3, 0.1, 0.4)), pose((0.2, 1, 0.4))),
                (shape, pose((0, -0.6, 0.6))),
                size=64,
                camera=look_at((0, -3, 1.2), (0, 0, 0.4)),
                materials=[Material(), Material(colour=RED), looks],
            ),
            64,
            64,
            samples=8,
            seed=0,
        )
        for shape in shapes
    )
    ball = exact.segmentation[0] == 3
    assert np.abs(exact.rgb[0].astype(int) - mesh.rgb[0])[ball].mean() < 2.5


def test_glass_casts_no_shadow() -> None:
    down = np.diag([1.0, -1, -1, 1])
    down[2, 3] = 4
    box = (Box(half_extents=(0.3, 0.3, 0.1)), pose((0, 0, 1)))
    lit = {"camera": down, "sun": Sun(direction=(1, 0, 1)), "sky": replace(DARK_SKY, ground=BLACK)}
    out = render(scene((Plane(), pose()), box, materials=[matte(WHITE), glass()], **lit), 33, 33, samples=4, seed=0)
    ground = out.rgb[0][out.segmentation[0] == 1]
    assert np.ptp(ground, axis=0).max() <= 1


def test_optics_change_nothing_else() -> None:
    """A mirror far outside the view turns the paths on; what is seen stays as it is, but for rounding."""
    made = playground(frames=2, size=64)
    behind = replace(
        made,
        bodies=[*made.bodies, replace(made.bodies[1], material=Material(mirror=True))],
        poses=np.concatenate((made.poses, np.tile(pose((0, -60, 0.2)), (2, 1, 1, 1))), axis=1),
    )
    one, other = (render(s, 64, 64, samples=8, seed=0) for s in (made, behind))
    assert np.abs(one.rgb.astype(int) - other.rgb).max() <= 1
    assert np.array_equal(one.motion, other.motion)
    assert np.array_equal(one.depth, other.depth)


def directions(rows: int) -> NDArray[np.float64]:
    """Unit directions (rows, 2 rows, 3) of a panorama's pixels."""
    polar, azimuth = np.meshgrid(
        (np.arange(rows) + 0.5) * np.pi / rows, (np.arange(2 * rows) + 0.5) * np.pi / rows, indexing="ij"
    )
    return np.stack((np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)), axis=-1)


def white_ball(panorama: NDArray[np.float64], material: Material | None = None) -> tuple[RenderScene, NDArray[Any]]:
    """A ball that fills much of the view of a camera with axes of its own, and its normals in the world."""
    camera = look_at((1, -3, 0.5), (0, 0, 0))
    made = scene(
        (Sphere(radius=0.8), pose()),
        size=48,
        camera=camera,
        materials=[material or matte(WHITE)],
        sun=NIGHT,
        sky=Sky(panorama=panorama.astype(np.float32), haze=float("inf")),
    )
    depth = render(made, 48, 48, samples=1, seed=0).depth[0]
    points = np.where(np.isfinite(depth), depth, 0)[..., None] * pixel_rays(made, 48)
    return made, (points @ camera[:3, :3].T + camera[:3, 3]) / 0.8


def test_constant_panorama_lights_evenly() -> None:
    made, _ = white_ball(np.full((16, 32, 3), 0.4))
    assert linear(render(made, 48, 48, samples=4, seed=0).rgb) == pytest.approx(0.4, abs=0.01)


def test_irradiance_of_half_a_panorama() -> None:
    """Where the half around +x is bright, a surface at an angle a to x gets the share (1 + cos a) / 2."""
    bright = 0.5 * (directions(32)[..., :1] > 0) * np.ones(3)
    made, normals = white_ball(bright)
    out = render(made, 48, 48, samples=1, seed=0)
    ball = out.segmentation[0] == 1
    expected = 0.25 * (1 + normals[ball][:, 0])
    np.testing.assert_allclose(linear(out.rgb[0][ball][:, 1]), expected, atol=0.025)


def test_panorama_is_seen_where_it_is() -> None:
    """Its colours are the directions: in the picture of the sky, and in a mirror after the law of reflection."""
    picture = 0.25 + 0.2 * directions(64)
    mirror = Material(colour=BLACK, mirror=True, roughness=0, specular=1)
    made, normals = white_ball(picture, mirror)
    out = render(made, 48, 48, samples=1, seed=0)
    rays = pixel_rays(made, 48) @ made.camera.world_from_camera[0, :3, :3].T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    reflected = rays - 2 * (rays * normals).sum(-1, keepdims=True) * normals
    ball = out.segmentation[0] == 1
    expected = 0.25 + 0.2 * np.where(ball[..., None], reflected, rays)
    np.testing.assert_allclose(linear(out.rgb[0]), expected, atol=0.015)


def test_wrong_optics_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="refractive_index"):
        Material(refractive_index=0.5)
    with pytest.raises(ConfigurationError, match="panorama"):
        Sky(panorama=np.zeros((4, 8), np.float32))
