"""Files of generated clips, named by clip, each made when it is written."""

from collections.abc import Callable, Iterator
from functools import partial

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.point_clouds import camera_of, point_cloud
from phys4d_kedro.reporting.video import clip_videos, comparison_video

Files = dict[str, Callable[[], bytes]]


def with_truth(generated: ClipStore, truths: ClipStore) -> Iterator[tuple[Clip, Clip | None]]:
    """Each generated clip, and the clip of `truths` that it was generated from, where there is one."""
    known = set(truths.ids)
    for clip in generated:
        reference = clip.parameters.get("reference")
        yield clip, truths.read(reference) if reference in known else None


def video_files(generated: ClipStore, truths: ClipStore) -> Files:
    """MP4 files <clip>/{rgb,depth,motion}, and <clip>/comparison with the true clip where there is one."""
    files: Files = {}
    for clip, truth in with_truth(generated, truths):
        for name in ("rgb", "depth", "motion"):
            files[f"{clip.clip_id}/{name}"] = partial(_video, generated, clip.clip_id, name)
        if truth is not None:
            files[f"{clip.clip_id}/comparison"] = partial(_comparison, generated, clip.clip_id, truths, truth.clip_id)
    return files


def point_cloud_files(generated: ClipStore) -> Files:
    """PLY files <clip>/frame_<number>, in the world of the clip's camera."""
    return {
        f"{clip.clip_id}/frame_{frame:04d}": partial(_point_cloud, generated, clip.clip_id, frame)
        for clip in generated
        for frame in range(clip.frames)
    }


def _video(clips: ClipStore, clip_id: str, name: str) -> bytes:
    return clip_videos(clips.read(clip_id))[name]


def _comparison(generated: ClipStore, clip_id: str, truths: ClipStore, truth_id: str) -> bytes:
    return comparison_video({"truth": truths.read(truth_id), "generated": generated.read(clip_id)})


def _point_cloud(clips: ClipStore, clip_id: str, frame: int) -> bytes:
    clip = clips.read(clip_id)
    return point_cloud(clip, camera_of(clip), frame)
