"""The gallery: strips of the right pictures, and a figure of any number of them."""

from pathlib import Path

import factories
import numpy as np
import pytest

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.reporting.colors import instance_colors
from phys4d_kedro.reporting.gallery import draw_gallery, make_strip, one_clip_a_scene


def test_strip_holds_frames_and_annotations() -> None:
    clip = factories.make_clip(0, height=16, width=24, frames=5)
    strip = make_strip(clip, 4)
    assert strip.shape == (4 * 16, 4 * 24, 3)
    assert np.array_equal(strip[:16, :24], clip.rgb[0])
    assert np.array_equal(strip[:16, -24:], clip.rgb[3])
    assert clip.segmentation is not None
    assert np.array_equal(strip[-16:, :24], instance_colors(clip.segmentation[0]))


def test_instances_differ_in_colour() -> None:
    colors = instance_colors(np.arange(11, dtype=np.uint16))
    assert len({tuple(color) for color in colors.tolist()}) == 11


def test_missing_annotations_are_named() -> None:
    clip = factories.make_clip(0).with_(segmentation=None)
    with pytest.raises(MissingAnnotationError, match=r"sphere-0000.*segmentation"):
        make_strip(clip, 4)


def test_gallery_of_a_store(tmp_path: Path) -> None:
    clips = [factories.make_clip(index).with_(scene=f"scene_{index % 4}") for index in range(6)]
    write_shards(clips, str(tmp_path / "clips"), clips_per_shard=4)
    chosen = one_clip_a_scene(ClipStore(str(tmp_path / "clips")))
    assert [clip.clip_id for clip in chosen] == [f"sphere-{index:04d}" for index in range(4)]
    draw_gallery(chosen).savefig(tmp_path / "gallery.png")
    assert (tmp_path / "gallery.png").stat().st_size > 10_000
