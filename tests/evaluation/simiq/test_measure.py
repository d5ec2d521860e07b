"""Measured videos: a video is itself, a shifted one overlaps as far as it does, and small things are not wiped out."""

from pathlib import Path

import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.simiq.measure import COLUMNS, compare_footage, measure_worlds, prepare_footage
from tests.evaluation.simiq.squares import FRAMES, SIZE, clip_of, square

LEAST_SIDE = 8 * SIZE


def test_a_video_is_itself() -> None:
    footage = prepare_footage(square(1.0), least_side=LEAST_SIDE)
    found = compare_footage(footage, footage)
    assert set(found.mse) == {0.0}
    assert set(found.spatiotemporal_iou) == {1.0}
    assert (found.spatial_iou, found.weighted_spatial_iou) == (1.0, 1.0)
    assert found.frames == FRAMES
    assert found.moves


def test_frames_come_at_a_quarter_of_the_enlarged_size_and_their_masks_with_them() -> None:
    footage = prepare_footage(square(1.0), least_side=LEAST_SIDE)
    assert {image.shape for image in footage.images} == {(64, 64, 3)}
    assert {mask.shape for mask in footage.masks} == {(64, 64)}
    assert not footage.masks[0].any()
    assert len(prepare_footage(square(1.0), least_side=SIZE + 1).images[0]) == 16  # enlarged by 2, not by 33/32


def test_error_of_brightness_is_that_of_the_pixels() -> None:
    dark, bright = (np.full((FRAMES, SIZE, SIZE, 3), value, np.uint8) for value in (51, 102))
    found = compare_footage(*(prepare_footage(rgb, least_side=LEAST_SIDE) for rgb in (bright, dark)))
    assert found.mse == pytest.approx([0.04] * FRAMES, rel=1e-4)
    assert found.spatial_iou == 1.0  # both stand still
    assert not found.moves


def test_a_square_on_other_rows_overlaps_by_those_that_are_shared() -> None:
    truth = prepare_footage(square(2.0, row=12), least_side=LEAST_SIDE)
    shifted = prepare_footage(square(2.0, row=14), least_side=LEAST_SIDE)
    apart = prepare_footage(square(2.0, row=22), least_side=LEAST_SIDE)
    assert compare_footage(shifted, truth).spatial_iou == pytest.approx(4 / 8, abs=0.06)
    assert compare_footage(apart, truth).spatial_iou == 0


def test_a_thing_of_two_pixels_is_seen_once_enlarged_and_not_before() -> None:
    tiny = square(2.0, side=2)
    assert any(mask.any() for mask in prepare_footage(tiny, least_side=LEAST_SIDE).masks)
    assert not any(mask.any() for mask in prepare_footage(tiny, least_side=SIZE).masks)


def world(truth: Clip, rgb: np.ndarray, stage: str, seed: int) -> Clip:
    facts = {"reference": truth.clip_id, "stage": stage, "training_seed": seed, "sample": 0}
    return truth.with_(clip_id=f"{truth.clip_id}.{stage}.seed{seed}.0", rgb=rgb, parameters=facts)


def test_every_method_is_measured_against_the_first_take(tmp_path: Path) -> None:
    clips = [
        clip_of(square(1.0 + 0.5 * take, row=10 + view), "a-0", view, take) for view in range(2) for take in range(2)
    ]
    write_shards(clips, str(tmp_path / "clips"), clips_per_shard=9)
    worlds = [world(clips[i], clips[i].rgb, "stage1", 0) for i in (0, 2)]
    worlds += [world(clips[i], clips[i + 1].rgb, "sft", seed) for i in (0, 2) for seed in (0, 1)]
    write_shards(worlds, str(tmp_path / "worlds"), clips_per_shard=9)
    table = measure_worlds(
        ClipStore(str(tmp_path / "worlds")), ClipStore(str(tmp_path / "clips")), least_side=LEAST_SIDE
    )
    assert list(table.columns) == list(COLUMNS)
    counts = table.groupby("method").size().to_dict()
    assert counts == {"stage1": 2, "sft": 4, "takes": 2, "still": 2}
    first = table[table["clip_id"] == "simiq-a-0-v0-t0"].set_index("method")
    assert first.loc["stage1", "spatial_iou"] == 1
    assert list(first.loc["sft", "spatial_iou"]) == [first.loc["takes", "spatial_iou"]] * 2
    assert first.loc["takes", "spatial_iou"] < 1
    assert first.loc["still", "spatial_iou"] == 0
    assert not first.loc["still", "moves"]
    assert set(table["perspective"]) == {"perspective-left", "perspective-center"}
    assert set(table["scenario"]) == {"a-0"}
