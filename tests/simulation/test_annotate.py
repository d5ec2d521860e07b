"""Tracks beside the images of the same clip, and the check that depth and motion agree."""

import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.simulation.annotate import check_consistency, check_images
from phys4d_kedro.simulation.bad_draws import BadDrawError

from .conftest import BENDING, RIGID


def project_tracks(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T, N, 2) and depths (T, N) of a clip's tracks."""
    assert clip.tracks is not None
    assert clip.world_from_camera is not None
    assert clip.intrinsics is not None
    camera = np.einsum(
        "tji,tnj->tni", clip.world_from_camera[:, :3, :3], clip.tracks - clip.world_from_camera[:, None, :3, 3]
    )
    K = clip.intrinsics
    return camera[..., :2] / camera[..., 2:] * [K[0, 0], K[1, 1]] + K[:2, 2], camera[..., 2]


@pytest.mark.parametrize("name", RIGID + BENDING)
def test_tracks_agree_with_images(clips: dict[str, Clip], name: str) -> None:
    clip = clips[name]
    depth, motion, segmentation, visible = clip.depth, clip.motion, clip.segmentation, clip.track_visible
    assert depth is not None
    assert motion is not None
    assert segmentation is not None
    assert visible is not None
    position, far = project_tracks(clip)
    H, W = clip.size
    column, row = (position[..., axis].astype(int).clip(0, limit - 1) for axis, limit in ((0, W), (1, H)))
    t = np.arange(clip.frames)[:, None]
    # Frame 0: tracks start at pixel centres, so all agree to rounding.
    assert visible[0].mean() > 0.98  # the rest lie on the very outline
    assert np.allclose(position[0] % 1, 0.5, atol=1e-2)
    assert np.allclose(depth[0, row[0], column[0]], far[0], rtol=1e-5)
    assert (segmentation[0, row[0], column[0]] == clip.track_instance).all()
    assert np.abs(position[0] + motion[0, row[0], column[0], :2] - position[1]).max() < 0.02
    assert np.allclose(far[0] + motion[0, row[0], column[0], 2], far[1], atol=1e-4)
    # Later: within a pixel, whose centre lies up to 0.7 pixels off, on the same thing.
    same = visible & (segmentation[t, row, column] == clip.track_instance)
    assert same[visible].mean() > (0.6 if clip.category == "ropes" else 0.85)  # a rope is two pixels thick
    assert np.quantile(np.abs(depth[t, row, column] / far - 1)[same], 0.9) < 0.03
    error = np.linalg.norm(position[:-1] + motion[t[:-1], row[:-1], column[:-1], :2] - position[1:], axis=-1)
    assert np.median(error[same[:-1]]) < 0.5


@pytest.mark.parametrize("key", ["depth", "dz", "dy"])
def test_annotations_that_disagree_are_refused(clips: dict[str, Clip], key: str) -> None:
    clip = clips["ball_collide"]
    assert clip.depth is not None
    assert clip.motion is not None
    check_consistency(clip)
    if key == "depth":  # of one frame in the middle
        depth = clip.depth.copy()
        depth[8] *= np.float32(1.001)
        wrong = clip.with_(depth=depth)
    else:
        motion = clip.motion.copy()
        motion[..., 2 if key == "dz" else 1] += np.float32(0.01 if key == "dz" else 0.2)
        wrong = clip.with_(motion=motion)
    with pytest.raises(InvalidClipError, match=rf"clip '{clip.clip_id}' of scene 'ball_collide': depth and motion"):
        check_consistency(wrong)


def test_a_view_of_little_but_curved_surfaces_is_a_bad_draw(clips: dict[str, Clip]) -> None:
    """Interpolation errs by a few 1e-5 on them everywhere; a larger error everywhere is a mistake of the renderer's."""
    clip = clips["ball_collide"]
    assert clip.depth is not None
    assert clip.motion is not None
    assert clip.motion_valid is not None
    depth = clip.depth.copy()
    depth[8] *= np.float32(1 + 4e-5)
    with pytest.raises(BadDrawError, match="curved surfaces"):
        check_images(depth, clip.motion, clip.motion_valid, "these images")


def test_too_many_outlines_are_a_bad_draw(clips: dict[str, Clip]) -> None:
    """A tenth of the pixels told to land on another depth, whatever the pixels around: the view is drawn anew."""
    clip = clips["ball_collide"]
    assert clip.depth is not None
    assert clip.motion is not None
    assert clip.motion_valid is not None
    motion = clip.motion.copy()
    motion[:, ::3, ::3, 2] += np.float32(0.5)
    with pytest.raises(BadDrawError, match=r"depth and motion disagree in \d+\.\d % of the pixels") as caught:
        check_images(clip.depth, motion, clip.motion_valid, "these images")
    assert caught.value.kind == "depth and motion disagree"
    with pytest.raises(InvalidClipError, match="ball_collide"):
        check_consistency(clip.with_(motion=motion))
