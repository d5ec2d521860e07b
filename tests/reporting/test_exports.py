"""Files of generated clips: which there are, and that each is of its own clip."""

from pathlib import Path

import pytest

from phys4d_kedro.clips.shards import write_shards
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.exports import point_cloud_files, video_files, with_truth
from phys4d_kedro.reporting.point_clouds import point_clouds
from phys4d_kedro.reporting.video import clip_videos, comparison_video
from tests.factories import make_clip


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipStore, ClipStore]:
    """Two generated clips, one of a true clip and one of an image, and the true clips."""
    folder = tmp_path_factory.mktemp("clips")
    truths = [make_clip(i) for i in range(2)]
    generated = [
        make_clip(5).with_(clip_id="a.sample0", parameters={"reference": truths[1].clip_id}),
        make_clip(6).with_(clip_id="kitchen.sample0", parameters={"reference": ""}),
    ]
    write_shards(truths, str(folder / "truths"), clips_per_shard=4)
    write_shards(generated, str(folder / "generated"), clips_per_shard=4)
    return ClipStore(str(folder / "generated")), ClipStore(str(folder / "truths"))


def test_each_clip_finds_its_truth(stores: tuple[ClipStore, ClipStore]) -> None:
    found = [(clip.clip_id, truth and truth.clip_id) for clip, truth in with_truth(*stores)]
    assert found == [("a.sample0", stores[1].ids[1]), ("kitchen.sample0", None)]


def test_videos_are_of_their_clips(stores: tuple[ClipStore, ClipStore]) -> None:
    generated, truths = stores
    files = video_files(generated, truths)
    assert list(files) == [
        *(f"a.sample0/{name}" for name in ("rgb", "depth", "motion", "comparison")),
        *(f"kitchen.sample0/{name}" for name in ("rgb", "depth", "motion")),
    ]
    assert files["kitchen.sample0/motion"]() == clip_videos(generated[1])["motion"]
    assert files["a.sample0/comparison"]() == comparison_video({"truth": truths[1], "generated": generated[0]})


def test_point_clouds_are_of_their_frames(stores: tuple[ClipStore, ClipStore], tmp_path: Path) -> None:
    generated, _ = stores
    files = point_cloud_files(generated)
    assert len(files) == sum(clip.frames for clip in generated)
    assert files["kitchen.sample0/frame_0002"]() == dict(point_clouds(generated[1]))["frame_0002.ply"]
