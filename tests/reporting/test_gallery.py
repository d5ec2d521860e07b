"""The gallery: strips of the right pictures, sheets that stay small, and figures of them."""

import io
from pathlib import Path

import factories
import numpy as np
import pytest
from PIL import Image

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.reporting.colors import instance_colors
from phys4d_kedro.reporting.gallery import (
    SIDES,
    as_figure,
    draw_gallery,
    draw_overview,
    draw_sheet,
    one_clip_a_scene,
    scenes_by_category,
    strip_frames,
    within,
)


def clip(index: int, **changes: str) -> Clip:
    return factories.make_clip(index, height=16, width=24).with_(**changes)


def contains(picture: Image.Image, part: np.ndarray) -> bool:
    """Whether a picture shows another, pixel for pixel, anywhere."""
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(picture), part.shape)
    return bool((windows == part).all(axis=(-3, -2, -1)).any())


def test_strip_holds_frames_and_annotations() -> None:
    shown = clip(0)
    strip = strip_frames(shown, 4)
    assert strip.shape == (4, 4, 16, 24, 3)
    assert np.array_equal(strip[0, 0], shown.rgb[0])
    assert np.array_equal(strip[0, -1], shown.rgb[3])
    assert shown.segmentation is not None
    assert np.array_equal(strip[-1, 0], instance_colors(shown.segmentation[0]))


def test_instances_differ_in_colour() -> None:
    colors = instance_colors(np.arange(11, dtype=np.uint16))
    assert len({tuple(color) for color in colors.tolist()}) == 11


def test_missing_annotations_are_named() -> None:
    with pytest.raises(MissingAnnotationError, match=r"sphere-0000.*segmentation"):
        strip_frames(clip(0).with_(segmentation=None), 4)


def test_sheet_shows_the_frames_as_they_are() -> None:
    shown = [clip(index, scene=f"scene_{index}", prompt="A ball rolls. " * 20) for index in range(3)]
    sheet = draw_sheet(shown, columns=3)
    for one in shown:
        for frame in strip_frames(one, 3)[:, 1]:
            assert contains(sheet, frame)
    assert not contains(sheet, clip(4).rgb[0])


def test_frames_shrink_and_are_never_enlarged() -> None:
    shown = [clip(0, prompt="")]
    as_they_are = draw_sheet(shown)
    assert draw_sheet(shown, side=64).size == as_they_are.size
    smaller = draw_sheet(shown, side=8)
    assert as_they_are.width - smaller.width == 6 * 12
    assert as_they_are.height - smaller.height == 4 * 8


def test_overview_shows_first_middle_and_last_frame() -> None:
    shown = [clip(index, scene=f"scene_{index}") for index in range(3)]
    overview = draw_overview([("rigid_bodies", shown[:2]), ("ropes", shown[2:])])
    for one in shown:
        assert all(contains(overview, one.rgb[frame]) for frame in (0, 2, 4))
        assert not contains(overview, one.rgb[1])


class TestWithin:
    """The largest picture that is small enough."""

    @staticmethod
    def noise(side: int) -> Image.Image:
        return Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8))

    @pytest.mark.parametrize("most", [6_000, 11_000])
    def test_is_the_largest_that_fits(self, most: int) -> None:
        fits = []
        for side in SIDES:
            file = io.BytesIO()
            within(1, lambda _, side=side: self.noise(side)).save(file, format="PNG", optimize=True)
            fits += [side] if file.getbuffer().nbytes <= most else []
        assert within(most, self.noise).height == max(fits) < SIDES[0]

    def test_is_the_smallest_where_none_fits(self) -> None:
        assert within(1, self.noise).height == SIDES[-1]

    def test_has_a_palette_near_the_colours(self) -> None:
        clips = [clip(index) for index in range(4)]
        exact = np.asarray(draw_sheet(clips)).astype(int)
        reduced = np.asarray(within(10**6, lambda side: draw_sheet(clips, side=side)).convert("RGB")).astype(int)
        assert np.abs(exact - reduced).mean() < 3
        assert np.quantile(np.abs(exact - reduced), 0.99) < 24


def test_figure_is_the_picture(tmp_path: Path) -> None:
    sheet = draw_sheet([clip(0)])
    as_figure(sheet).savefig(tmp_path / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")), np.asarray(sheet))


def test_gallery_of_a_store(tmp_path: Path) -> None:
    clips = [clip(index, scene=f"scene_{index % 4}", category=f"category_{index % 2}") for index in range(6)]
    write_shards(clips, str(tmp_path / "clips"), clips_per_shard=4)
    store = ClipStore(str(tmp_path / "clips"))
    chosen = one_clip_a_scene(store)
    assert [one.clip_id for one in chosen] == [f"sphere-{index:04d}" for index in range(4)]
    draw_gallery(chosen).savefig(tmp_path / "gallery.png")
    assert (tmp_path / "gallery.png").stat().st_size > 10_000
    by_category = {category: [one.scene for one in shown] for category, shown in scenes_by_category(store)}
    assert by_category == {"category_0": ["scene_0", "scene_2"], "category_1": ["scene_1", "scene_3"]}
    assert all(one.depth is None for _, shown in scenes_by_category(store, rgb_alone=True) for one in shown)
