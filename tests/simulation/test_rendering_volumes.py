"""Smoke and flame of the renderer: absorption, shadows, light, and the annotations of what they hide."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rendering_scenes import look_at, pixel_rays, playground, pose, scene

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.renderer import render, visibility
from phys4d_kedro.simulation.rendering.scene import Box, Material, Plane, RenderScene, Sky, Sun, Volume

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
NIGHT = Sun(intensity=0)
DARK_SKY = Sky(zenith=BLACK, horizon=BLACK, ground=WHITE, haze=float("inf"))
SIZE = 33


def matte(colour: tuple[float, float, float]) -> Material:
    return Material(colour=colour, roughness=1, specular=0)


def linear(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    c = rgb / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def slab(*sigmas: float, drift: tuple[float, float, float] = (0, 0, 0), **looks: Any) -> Volume:
    """Homogeneous smoke from depth 2 to 3, across the whole view, of one extinction a frame."""
    density = np.ones((len(sigmas), 20, 20, 5), np.float32) * np.array(sigmas, np.float32)[:, None, None, None]
    velocity = np.broadcast_to(np.array(drift, dtype=np.float32), (*density.shape, 3))
    return Volume(density=density, velocity=velocity, lower=(-2, -2, 2), cell=0.2, instance=7, **looks)


def before_a_wall(volume: Volume | None, colour: tuple[float, float, float] = WHITE, **lights: Any) -> RenderScene:
    """A wall at depth 4."""
    volumes = [] if volume is None else [volume]
    frames = 1 if volume is None else len(volume.density)
    lights = {"sun": NIGHT, "sky": DARK_SKY, **lights}
    wall = (Plane(half_size=(50, 50)), pose((0, 0, 4)))
    return scene(wall, frames=frames, materials=[matte(colour)], volumes=volumes, **lights)


def shown(made: RenderScene) -> NDArray[np.float64]:
    return linear(render(made, SIZE, SIZE, samples=1, seed=0).rgb[0])


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_smoke_absorbs_exponentially(sigma: float) -> None:
    """A white wall less a black one shows what passes: exp(-sigma L), L the way through the slab."""
    passed = shown(before_a_wall(slab(sigma))) - shown(before_a_wall(slab(sigma), BLACK))
    whole = shown(before_a_wall(None))
    way = np.linalg.norm(pixel_rays(before_a_wall(None), SIZE), axis=-1)
    np.testing.assert_allclose(passed[..., 1] / whole[..., 1], np.exp(-sigma * way), atol=0.02)


def test_thick_smoke_has_its_colour() -> None:
    """Of light alike from everywhere, thick white smoke sends back as much as comes: the mean of the sky's."""
    sky = Sky(zenith=WHITE, horizon=WHITE, ground=WHITE, haze=float("inf"))
    made = before_a_wall(slab(30.0, colour=WHITE), BLACK, sky=sky)
    assert shown(made)[16, 16] == pytest.approx(0.42, abs=0.01)


def test_half_absorbed_is_the_depth() -> None:
    sigma = 2.0
    made = before_a_wall(slab(sigma))
    out = render(made, SIZE, SIZE, samples=1, seed=0)
    way = np.linalg.norm(pixel_rays(made, SIZE), axis=-1)
    assert (out.segmentation == 7).all()
    np.testing.assert_allclose((out.depth[0] - 2) * way, np.log(2) / sigma, rtol=1e-4)


def test_thin_smoke_leaves_the_annotations() -> None:
    out = render(before_a_wall(slab(0.5, 0.5)), SIZE, SIZE, samples=1, seed=0)
    assert (out.segmentation == 1).all()
    np.testing.assert_allclose(out.depth, 4, rtol=1e-6)
    assert out.motion_valid.all()


def test_empty_smoke_changes_nothing() -> None:
    made = playground(frames=2, size=64)
    empty = np.zeros((2, 8, 8, 8), np.float32)
    volume = Volume(
        density=empty, velocity=np.zeros((*empty.shape, 3), np.float32), lower=(-1, -1, 0), cell=0.25, instance=9
    )
    clear, other = (
        render(s, 64, 64, samples=8, seed=0) for s in (made, RenderScene(**{**vars(made), "volumes": [volume]}))
    )
    for key in ("rgb", "depth", "motion", "motion_valid", "segmentation"):
        assert np.array_equal(getattr(clear, key), getattr(other, key)), key


def test_smoke_that_appears_hides_what_is_behind() -> None:
    """Frame 1 has thick smoke over the right half: the wall's points there are lost, though the wall stands still."""
    density = np.zeros((2, 20, 20, 5), np.float32)
    density[1, 10:] = 5
    volume = Volume(
        density=density, velocity=np.zeros((*density.shape, 3), np.float32), lower=(-2, -2, 2), cell=0.2, instance=7
    )
    made = before_a_wall(volume)
    out = render(made, SIZE, SIZE, samples=1, seed=0)
    assert (out.segmentation[0] == 1).all()
    assert out.motion_valid[0, :, :14].all()
    assert not out.motion_valid[0, :, 19:].any()
    assert np.array_equal(out.motion_valid[0], out.segmentation[1] == 1)
    points = np.array([[[-0.5, 0, 4], [0.5, 0, 4], [0.5, 0, 1.9]]] * 2, dtype=float)
    assert visibility(made, points, SIZE, SIZE).tolist() == [[True, True, True], [True, False, True]]


def test_motion_of_smoke_is_that_of_the_gas() -> None:
    """A point at depth z that drifts by (0.1, 0, 0.2) m a frame moves by f ((x + 0.1) / (z + 0.2) - x / z) pixels."""
    made = before_a_wall(slab(2.0, 2.0, drift=(0.1, 0.0, 0.2)))
    out = render(made, SIZE, SIZE, samples=1, seed=0)
    x, z = pixel_rays(made, SIZE)[..., 0], out.depth[0]
    np.testing.assert_allclose(out.motion[0, ..., 0], SIZE * ((x * z + 0.1) / (z + 0.2) - x), atol=1e-3)
    np.testing.assert_allclose(out.motion[0, ..., 2], 0.2, atol=1e-5)
    assert not out.motion_valid.any()


def test_smoke_dims_the_sun() -> None:
    """Under 0.5 m of smoke the ground has exp(-sigma L) of the sunlight, L along the way to the sun."""
    density = np.full((1, 8, 8, 5), 1.5, np.float32)
    volume = Volume(
        density=density, velocity=np.zeros((*density.shape, 3), np.float32), lower=(-0.4, -0.4, 2), cell=0.1, instance=7
    )
    slanted = (0.6, 0.0, 0.8)
    below = np.diag([1.0, -1, -1, 1])
    below[:3, 3] = (-1.65, 0, 1.5)  # over the shadow of the middle of the smoke, itself below the smoke
    made = scene(
        (Plane(), pose()),
        size=SIZE,
        camera=below,
        materials=[matte((0.6, 0.6, 0.6))],
        volumes=[volume],
        sun=Sun(direction=slanted),
        sky=Sky(ground=BLACK, zenith=BLACK, horizon=BLACK, haze=float("inf")),
    )
    light = shown(made)[16, :, 1]
    assert light.min() / light.max() == pytest.approx(np.exp(-1.5 * 0.5 / 0.8), abs=0.02)


def test_smoke_shades_itself() -> None:
    """Lit from above, thick smoke is bright on top and dark below."""
    density = np.full((1, 10, 10, 10), 6, np.float32)
    volume = Volume(
        density=density, velocity=np.zeros((*density.shape, 3), np.float32), lower=(-0.5, -0.5, 0), cell=0.1, instance=7
    )
    made = scene(
        (Plane(), pose((0, 0, -5))),
        size=SIZE,
        camera=look_at((0, -3, 0.5), (0, 0, 0.5)),
        volumes=[volume],
        sun=Sun(direction=(0, 0, 1)),
        sky=Sky(intensity=0, zenith=BLACK, horizon=BLACK, haze=float("inf")),
    )
    column = shown(made)[:, 16, 1]
    # The box reaches from row 10.9 to row 22.1 at least: 33 pixels at 1 / 3 to 1 / 2.5 m.
    assert column[12] > 2 * column[16] > 4 * column[20]


def test_flames_glow_by_their_heat() -> None:
    glow = np.zeros((1, 20, 20, 5), np.float32)
    glow[:, :10], glow[:, 10:] = 0.3, 1.0
    out = render(before_a_wall(slab(0.0, glow=glow), BLACK), SIZE, SIZE, samples=1, seed=0)
    cool, hot = linear(out.rgb[0, 16, 4]), linear(out.rgb[0, 16, 28])
    assert cool[0] > 2 * cool[1] > 4 * cool[2]
    assert hot.min() > 0.4
    assert hot[0] > hot[2]
    assert (out.segmentation == 7).all()


def test_smoke_does_not_hide_what_stands_before_it() -> None:
    made = scene(
        (Plane(half_size=(50, 50)), pose((0, 0, 4))),
        (Box(half_extents=(0.3, 0.3, 0.1)), pose((0, 0, 1.5))),
        frames=2,
        volumes=[slab(5.0, 5.0)],
    )
    out = render(made, SIZE, SIZE, samples=1, seed=0)
    assert set(np.unique(out.segmentation)) == {2, 7}
    assert np.array_equal(out.motion_valid[0], out.segmentation[0] == 2)


def test_result_is_a_function_of_scene_and_seed() -> None:
    made = before_a_wall(slab(1.0, 1.0), sun=Sun(), sky=Sky())
    first = render(made, SIZE, SIZE, samples=4, seed=0)
    again = render(made, SIZE, SIZE, samples=4, seed=0, threads=2)
    assert np.array_equal(first.rgb, again.rgb)


def test_wrong_volumes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="velocity"):
        Volume(
            density=np.zeros((1, 2, 2, 2), np.float32),
            velocity=np.zeros((1, 2, 2, 2), np.float32),
            lower=(0, 0, 0),
            cell=0.1,
            instance=1,
        )
    with pytest.raises(ConfigurationError, match="volume of 2 frames"):
        scene((Plane(), pose()), volumes=[slab(1.0, 1.0)])
