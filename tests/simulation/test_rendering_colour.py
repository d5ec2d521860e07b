"""Colour of the renderer: shadows, sky light, anti-aliasing, textures, and that nothing depends on chance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rendering_scenes import look_at, playground, pose, scene

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering.renderer import render
from phys4d_kedro.simulation.rendering.scene import (
    TEXTURE_KINDS,
    Box,
    Material,
    Plane,
    RenderScene,
    Sky,
    Sphere,
    Sun,
    TextureKind,
)

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
NIGHT = Sun(intensity=0)
# The same light from everywhere, and no haze: what is seen is the albedo times one number.
OVERCAST = Sky(zenith=WHITE, horizon=WHITE, ground=WHITE, haze=float("inf"))


def matte(**looks: Any) -> Material:
    return Material(**{"roughness": 1.0, "specular": 0.0, **looks})


def linear(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Linear light of sRGB bytes; below the shoulder of the tone curve that is the radiance."""
    c = rgb / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def ground_under_a_box(angular_diameter: float = 2.0, size: int = 129) -> RenderScene:
    """Seen from straight above: a box floats 1 m over a white ground, the sun stands at 45 degrees over x, so that the
    shadow lies beside the box."""
    down = np.diag([1.0, -1, -1, 1])
    down[:3, 3] = (-1, 0, 4)
    return scene(
        (Plane(), pose()),
        (Box(half_extents=(0.4, 0.4, 0.02)), pose((0, 0, 1))),
        size=size,
        camera=down,
        materials=[matte(colour=(0.6, 0.6, 0.6))],
        sun=Sun(direction=(1, 0, 1), angular_diameter=angular_diameter),
        sky=replace(OVERCAST, intensity=0.3),
    )


def profile(made: RenderScene, size: int = 129) -> NDArray[np.float64]:
    """Linear brightness along the middle row of the ground, from the shadow's middle (x = -1) to the left, at 0..1."""
    out = render(made, size, size, samples=8, seed=0)
    line = linear(out.rgb[0, size // 2 - 8 : size // 2 + 9, : size // 2 + 1, 1]).mean(0)[::-1]
    return (line - line[0]) / (line[-1] - line[0])


def test_shadow_is_darker_and_where_it_belongs() -> None:
    out = render(ground_under_a_box(), 129, 129, samples=8, seed=0)
    light = out.rgb[0, 64, :, 1].astype(int)
    # One pixel is 4 / 129 m on the ground; the shadow reaches from x = -1.4 to -0.6.
    x = -1 + (np.arange(129) - 64) * 4 / 129
    shaded = (np.abs(x + 1) < 0.35) & (out.segmentation[0, 64] == 1)
    open_ground = (np.abs(x + 1) > 0.46) & (np.abs(x) > 0.6) & (out.segmentation[0, 64] == 1)
    assert light[shaded].max() < light[open_ground].min() - 60


def test_penumbra_grows_with_the_sun() -> None:
    """The width at a distance of sqrt(2) m from the box is that times the sun's diameter, stretched by the slope."""
    widths = {}
    for degrees in (2.0, 8.0):
        line = profile(ground_under_a_box(degrees))
        # 10 .. 90 % of the light of a disc that an edge crosses: 0.69 of its diameter.
        grown = np.interp((0.1, 0.9), np.maximum.accumulate(line) + 1e-9 * np.arange(len(line)), np.arange(len(line)))
        widths[degrees] = (grown[1] - grown[0]) * 4 / 129
    for degrees, width in widths.items():
        expected = 0.69 * 2 * np.radians(degrees)
        assert width == pytest.approx(expected, abs=0.02)
    assert widths[8.0] > 2.5 * widths[2.0]


def test_contact_dims_the_sky() -> None:
    made = scene(
        (Plane(), pose()),
        (Sphere(radius=0.3), pose((0, 0, 0.3))),
        size=65,
        camera=look_at((0, -3, 1.5), (0, 0, 0.2)),
        materials=[matte(), matte()],
        sun=NIGHT,
        sky=OVERCAST,
    )
    out = render(made, 65, 65, samples=4, seed=0)
    ground = np.where(out.segmentation[0] == 1, out.rgb[0, ..., 1].astype(int), 999)
    row, column = np.unravel_index(ground.argmin(), ground.shape)
    ball = np.argwhere(out.segmentation[0] == 2)
    assert ground.min() < 0.75 * ground[-1, 0]
    assert abs(column - 32) <= 4
    assert abs(row - ball[:, 0].max()) <= 2


@pytest.mark.parametrize("covered", [0.2, 0.5, 0.75])
def test_edge_pixel_shows_both_sides_by_area(covered: float) -> None:
    # The right edge of a white screen at depth 1 crosses column 16 after `covered` of its width.
    edge = (16 + covered - 16.5) / 33
    made = scene(
        (Plane(half_size=(50, 50)), pose((0, 0, 3))),
        (Box(half_extents=(1, 2, 0.1)), pose((edge - 1, 0, 1.1))),
        materials=[matte(colour=BLACK), matte(colour=WHITE)],
        sun=NIGHT,
        sky=OVERCAST,
    )
    row = linear(render(made, 33, 33, samples=32, seed=0).rgb[0, 16, :, 1])
    assert row[16] / row[10] == pytest.approx(covered, abs=0.06)
    assert row[15] == pytest.approx(row[10], rel=0.01)
    assert row[17] == 0
    jagged = linear(render(made, 33, 33, samples=1, seed=0).rgb[0, 16, :, 1])
    assert jagged[16] in (0.0, jagged[10])


def test_highlight_is_where_the_sun_is_mirrored() -> None:
    made = scene(
        (Sphere(radius=0.5), pose((0, 3, 0))),
        size=65,
        focal=150,
        camera=look_at((0, 0, 0), (0, 3, 0)),
        materials=[Material(colour=(0.1, 0.1, 0.3), roughness=0.2, specular=0.5)],
        sun=Sun(direction=(1, -1, 0), angular_diameter=1),
        sky=replace(OVERCAST, intensity=0, zenith=BLACK, horizon=BLACK),
    )
    image = render(made, 65, 65, samples=4, seed=0).rgb[0, ..., 0]
    row, column = np.argwhere(image == image.max()).mean(0)
    # The mirror's normal halves the angle of 45 degrees between the sun and the camera: x = 0.5 sin(22.5 degrees).
    x = 150 * 0.5 * np.sin(np.pi / 8) / (3 - 0.5 * np.cos(np.pi / 8))
    assert abs(column - (32 + x)) < 3
    assert abs(row - 32) < 2


def textured(kind: TextureKind, size: int, scale: float = 0.5) -> RenderScene:
    return scene(
        (Plane(half_size=(60, 60)), pose(angle=0.3)),
        size=size,
        camera=look_at((0, -3, 1.2), (0, 0, 0)),
        materials=[matte(colour=(0.9, 0.9, 0.9), second_colour=(0.2, 0.2, 0.2), texture=kind, scale=scale)],
        sun=NIGHT,
        sky=OVERCAST,
    )


@pytest.mark.parametrize("kind", TEXTURE_KINDS[1:])
def test_textures_are_filtered(kind: TextureKind) -> None:
    """A small image is a large one averaged: nothing aliases, from the foreground to the horizon."""
    fine = linear(render(textured(kind, 512), 512, 512, samples=8, seed=0).rgb[0])
    coarse = linear(render(textured(kind, 64), 64, 64, samples=8, seed=0).rgb[0])
    mean = fine.reshape(64, 8, 64, 8, 3).mean((1, 3))
    contrast = np.std(fine)
    assert contrast > 0.02
    assert np.sqrt(np.mean((coarse - mean)[8:] ** 2)) < 0.5 * contrast
    assert abs(coarse.mean() - mean.mean()) < 0.1 * mean.mean()


def test_fine_texture_far_away_is_its_mean() -> None:
    image = linear(render(textured("checker", 64, scale=0.004), 64, 64, samples=4, seed=0).rgb[0, 16:])
    assert image.std() < 0.01 * image.mean()


@pytest.mark.parametrize("kind", TEXTURE_KINDS[1:])
def test_texture_sticks_to_a_moving_body(kind: TextureKind) -> None:
    """A box moved by exactly 8 pixels, parallel to the image, shows the same picture there."""
    made = scene(
        (Box(half_extents=(0.3, 0.3, 0.1)), [pose((-0.1, 0, 1.1)), pose((-0.1 + 8 / 64, 0, 1.1))]),
        frames=2,
        size=64,
        materials=[matte(texture=kind, scale=0.15)],
        sun=NIGHT,
        sky=OVERCAST,
    )
    first, second = render(made, 64, 64, samples=4, seed=0).rgb.astype(int)
    inside = slice(16, 48)
    assert np.abs(first[inside, 14:38] - second[inside, 22:46]).max() <= 2
    assert first[inside, 14:38].std() > 3


def test_texture_turns_with_its_body() -> None:
    made = scene(
        (Sphere(radius=0.5), [pose((0, 3, 0)), pose((0, 3, 0), (1, 0, 1), 1.0)]),
        frames=2,
        size=48,
        focal=120,
        camera=look_at((0, 0, 0), (0, 3, 0)),
        materials=[matte(texture="stripes")],
        sky=OVERCAST,
    )
    out = render(made, 48, 48, samples=4, seed=0)
    assert np.array_equal(out.depth[0], out.depth[1]) or np.allclose(out.depth[0], out.depth[1])
    assert np.abs(out.rgb[0].astype(int) - out.rgb[1]).mean() > 10


def test_result_is_a_function_of_scene_and_seed() -> None:
    made = playground(frames=5)
    first = render(made, 96, 96, samples=8, seed=0)
    for other in (render(made, 96, 96, samples=8, seed=0), render(made, 96, 96, samples=8, seed=0, threads=2)):
        for key in ("rgb", "depth", "motion", "motion_valid", "segmentation"):
            assert np.array_equal(getattr(first, key), getattr(other, key)), key
    reseeded = render(made, 96, 96, samples=8, seed=1)
    assert np.array_equal(first.motion, reseeded.motion)
    changed = (first.rgb != reseeded.rgb).any(-1).mean()
    assert 0 < changed < 0.1  # the penumbras alone


def test_bands_do_not_show() -> None:
    """Threads share an image in bands of rows, whose number depends on that of the threads."""
    made = playground(frames=2, size=400)
    first, other = (render(made, 400, 400, samples=4, seed=0, threads=threads) for threads in (1, 5))
    for key in ("rgb", "depth", "motion", "motion_valid", "segmentation"):
        assert np.array_equal(getattr(first, key), getattr(other, key)), key


@pytest.mark.parametrize("kind", TEXTURE_KINDS)
def test_a_body_that_shades_nothing_changes_nothing(kind: TextureKind) -> None:
    """Ground and sky that have nothing near them are drawn by a kernel of their own. The ball around a mast behind the
    camera reaches everywhere, so they are drawn as bodies are; and a mirror there makes them the ends of paths."""
    mast = (Box(half_extents=(0.02, 0.02, 60.0)), pose((0, -20, 0)))

    def draw(*more: Material) -> NDArray[np.uint8]:
        made = scene(
            (Plane(), pose(axis=(1, 0, 0), angle=0.1)),
            *[mast] * len(more),
            size=64,
            camera=look_at((0, -3, 1.5), (0, 0, 1.0)),
            materials=[Material(texture=kind, roughness=0.2), *more],
            sun=Sun(direction=(0.3, 1, 1)),
        )
        return render(made, 64, 64, samples=4, seed=0).rgb

    alone = draw()
    assert alone.std() > 10
    assert np.array_equal(alone, draw(Material()))
    assert np.abs(alone.astype(int) - draw(Material(mirror=True))).max() <= 1


@pytest.mark.parametrize(
    ("looks", "field"),
    [
        ({"colour": (1.2, 0, 0)}, "colour"),
        ({"texture": "tartan"}, "texture"),
        ({"scale": 0.0}, "scale"),
        ({"roughness": -0.1}, "roughness"),
    ],
)
def test_wrong_material_is_refused(looks: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        Material(**looks)
