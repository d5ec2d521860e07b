"""Expectations over the manifest: good sets pass with a report, each fault is named with its clips."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.config import ClipCoding, ClipExpectations
from phys4d_kedro.clips.manifest import summarise
from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.clips.validation import validate_clips, validate_manifest
from phys4d_kedro.errors import DataQualityError

from .conftest import make_small

EXPECTED = ClipExpectations(
    min_clips=4, frames=9, height=24, width=20, keys=("depth", "motion"), categories=("rigid",), max_depth=50
)


def manifest_of(clips: list[Clip]) -> pd.DataFrame:
    return pd.DataFrame([summarise(clip) for clip in clips])


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [make_small(i) for i in range(4)]


def test_a_good_set_passes_with_a_report(clips: list[Clip]) -> None:
    report = validate_manifest(manifest_of(clips), EXPECTED)
    assert report["clips"] == 4
    assert report["categories"] == {"rigid": 4}
    assert all(check["success"] for check in report["checks"])
    assert report["statistics"]["depth_max"]["max"] == max(c.depth[np.isfinite(c.depth)].max() for c in clips)
    assert json.loads(json.dumps(report)) == report


def test_a_set_of_bare_videos_passes_where_nothing_more_is_expected(clips: list[Clip]) -> None:
    videos = [Clip(clip_id=c.clip_id, rgb=c.rgb, fps=8.0, source="import", category="real") for c in clips]
    report = validate_manifest(manifest_of(videos), ClipExpectations(frames=9))
    assert report["statistics"]["depth_max"] is None


def far(clip: Clip) -> Clip:
    depth = clip.depth.copy()
    depth[3, 4, 5] = 300.0
    return clip.with_(depth=depth)


def blind(clip: Clip) -> Clip:
    return clip.with_(depth=np.full_like(clip.depth, np.inf))


def leaping(clip: Clip) -> Clip:
    return clip.with_(motion=clip.motion + np.float32(25), motion_valid=np.ones_like(clip.motion_valid))


def unseen(clip: Clip) -> Clip:
    return clip.with_(motion_valid=np.zeros_like(clip.motion_valid))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (far, r"depth_max: .*max_value 50.*: clips sphere-0002 \(300\)"),
        (blind, r"depth_max: column values to not be null: clips sphere-0002"),
        (blind, r"depth_valid_share: .*: clips sphere-0002 \(0\)"),
        (leaping, r"motion_max_share: .*: clips sphere-0002"),
        (unseen, r"motion_valid_share: .*: clips sphere-0002 \(0\)"),
        (lambda c: c.with_(clip_id="sphere-0001"), r"clip_id: column values to be unique: clips sphere-0001"),
        (lambda c: c.window(0, 5), r"frames: .*: clips sphere-0002"),
        (lambda c: c.with_(motion=None, motion_valid=None), r"has_motion: .*: clips sphere-0002"),
    ],
)
def test_faults_name_the_clip(clips: list[Clip], change: object, message: str) -> None:
    with pytest.raises(DataQualityError, match=message):
        validate_manifest(manifest_of([*clips[:2], change(clips[2]), clips[3]]), EXPECTED)


def test_faults_of_the_set(clips: list[Clip]) -> None:
    with pytest.raises(DataQualityError, match=r"table row count.*min_value 4.*: found 3"):
        validate_manifest(manifest_of(clips[:3]), EXPECTED)
    wanted = EXPECTED.model_copy(update={"categories": ("rigid", "fluid")})
    with pytest.raises(DataQualityError, match=r"category: .*: missing fluid"):
        validate_manifest(manifest_of(clips), wanted)
    lonely = manifest_of([*clips[:3], clips[3].with_(category="cloth")])
    with pytest.raises(DataQualityError, match=r"clips_of_category: .*: clips sphere-0003"):
        validate_manifest(lonely, EXPECTED.model_copy(update={"min_clips_per_category": 2}))


def labelled(clips: list[Clip], folder: Path, doubtful: int | None = None) -> ClipStore:
    """The clips with labels that are sure by 0.75, but for one that is by 0.125."""
    sure = [0.125 if i == doubtful else 0.75 for i in range(len(clips))]
    made = [
        clip.with_(
            depth_confidence=np.full(clip.depth.shape, share, np.float32),
            motion_confidence=np.full(clip.motion.shape[:-1], share, np.float32),
        )
        for clip, share in zip(clips, sure, strict=True)
    ]
    write_shards(made, str(folder), clips_per_shard=2)
    return ClipStore(str(folder))


@pytest.mark.parametrize("column", ["depth_confidence", "motion_confidence"])
def test_doubtful_labels_are_named_with_their_confidence(clips: list[Clip], tmp_path: Path, column: str) -> None:
    expected = EXPECTED.model_copy(update={f"min_{column}": 0.5})
    report = validate_clips(labelled(clips, tmp_path / "good"), expected)
    assert report["statistics"][column] == pytest.approx({"min": 0.75, "median": 0.75, "max": 0.75}, rel=1e-3)
    doubtful = labelled(clips, tmp_path / "doubtful", doubtful=2)
    validate_clips(doubtful, EXPECTED)  # where nothing is expected, nothing is read
    with pytest.raises(
        DataQualityError, match=rf"{column}: .*min_value 0\.5.*: clips sphere-0002 \(0\.125\)"
    ) as caught:
        validate_clips(doubtful, expected)
    assert "sphere-0001" not in str(caught.value)


def test_labels_without_confidence_are_named(clips: list[Clip], tmp_path: Path) -> None:
    bare = [clip.with_(depth_confidence=None) for clip in clips]
    write_shards(bare, str(tmp_path), clips_per_shard=2)
    with pytest.raises(DataQualityError, match="depth_confidence: column values to not be null: clips sphere-0000"):
        validate_clips(ClipStore(str(tmp_path)), EXPECTED.model_copy(update={"min_depth_confidence": 0.1}))


def test_many_failing_clips_are_counted(clips: list[Clip]) -> None:
    manifest = pd.concat([manifest_of(clips)] * 5, ignore_index=True)
    manifest["clip_id"] = [f"clip-{i}" for i in range(20)]
    with pytest.raises(DataQualityError, match=r"clip-9 and 10 more"):
        validate_manifest(manifest, EXPECTED.model_copy(update={"frames": 13}))


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"1 \+ 4k frames"):
        ClipExpectations(frames=16)
    with pytest.raises(ValidationError, match="no array of a clip"):
        ClipExpectations(keys=("depht",))
    with pytest.raises(ValidationError, match="Extra inputs"):
        ClipExpectations(minclips=3)
    with pytest.raises(ValidationError, match="less than or equal to 23"):
        ClipCoding(mantissa_bits=24)
