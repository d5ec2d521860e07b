"""Generated worlds against simulated ones: known distances, alignment, lost points, and clips that judge nothing."""

import logging

import numpy as np
import pytest
import torch
from factories import AnalyticScene, Plane, Sphere, make_clip, translation

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import InvalidClipError, MissingAnnotationError
from phys4d_kedro.evaluation.reward_config import WorldConfig
from phys4d_kedro.evaluation.worlds import (
    WorldReference,
    prepare_reference,
    prepare_references,
    with_given_frame,
    world_distance,
)

CONFIG = WorldConfig()
FRAMES = 5


def ball(speed: tuple[float, float, float], cameras: np.ndarray | None = None, frames: int = FRAMES) -> Clip:
    """A ball that moves by `speed` metres a frame before a wall."""
    wall = translation(np.tile([0.0, 0.0, 6.0], (frames, 1)))
    path = translation([-0.6, 0, 3] + np.array(speed) * np.arange(frames)[:, None])
    cameras = translation(np.zeros((frames, 3))) if cameras is None else cameras
    return AnalyticScene([Plane(wall), Sphere(path, 0.4)], cameras, 64, 64).clip("ball", np.random.default_rng(0))


def reference_of(clip: Clip, config: WorldConfig = CONFIG) -> WorldReference:
    reference = prepare_reference(clip, config)
    assert reference is not None
    return reference


def relative(generated: Clip, reference: WorldReference, align: str = "first_frame") -> float:
    score = world_distance(generated, reference, align=align)
    return score.chamfer_4d / score.scale


def at_rest(clip: Clip) -> Clip:
    """What stands still as in the first frame, before a camera that stands still."""
    return clip.with_(depth=np.repeat(clip.depth[:1], clip.frames, 0), motion=np.zeros_like(clip.motion))


def at_half_speed(clip: Clip) -> Clip:
    """Every second step of the clip is a pause; of 1 + 4k frames the first 1 + 2k are shown."""
    order = np.arange(clip.frames) // 2
    motion = np.where((np.arange(clip.frames - 1) % 2 == 1)[:, None, None, None], clip.motion[order[:-1]], 0)
    return clip.with_(depth=clip.depth[order], motion=motion)


def test_a_world_at_rest_is_1_and_the_truth_near_0_with_half_speed_between() -> None:
    clip = ball((0.3, 0, 0))
    reference = reference_of(clip)
    assert relative(at_rest(clip), reference) == pytest.approx(1)
    assert relative(clip, reference) < 0.15
    assert relative(clip, reference) + 0.2 < relative(at_half_speed(clip), reference) < 0.8


def test_at_rest_the_distance_is_the_way_the_object_goes() -> None:
    clip = ball((0, 0, 0.5))
    reference = reference_of(clip)
    way = np.mean([0.5 * t for t in range(FRAMES)])
    assert world_distance(at_rest(clip), reference, align="none").chamfer_4d == pytest.approx(2 * way, rel=0.1)


def test_motion_that_is_small_beside_the_object_is_measured_by_the_objects_size() -> None:
    clip = ball((0.01, 0, 0))
    reference = reference_of(clip)
    (tracked,) = reference.objects
    assert reference.scale == pytest.approx(tracked.size)
    assert 0.15 < tracked.size < 0.4  # the mean distance from the middle of a half sphere of 0.4 m
    assert abs(relative(at_rest(clip), reference) - relative(clip, reference)) < 0.3


def test_alignment_forgives_one_wrong_factor_and_nothing_else() -> None:
    clip = ball((0.2, 0, 0.2))
    reference = reference_of(clip)
    far = clip.with_(depth=clip.depth * 3, motion=clip.motion * np.array([1, 1, 3], np.float32))
    assert relative(far, reference) == pytest.approx(relative(clip, reference), rel=1e-3)
    assert relative(far, reference, "none") > relative(clip, reference, "none") + 0.5
    growing = (1.15 ** np.arange(FRAMES, dtype=np.float32))[:, None, None]
    drifting = clip.depth * growing
    assert relative(clip.with_(depth=drifting), reference) > relative(clip, reference) + 0.3


def test_alignment_holds_before_a_camera_that_turns_away_from_the_axes() -> None:
    angle = 0.3
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    cameras = translation(np.array([0.05, 0.02, 0.0]) * np.arange(FRAMES)[:, None]) @ pose
    cameras[:, :3, 3] -= [1.2, 0, 0]
    clip = ball((0.2, 0, 0), cameras)
    reference = reference_of(clip)
    far = clip.with_(depth=clip.depth * 2, motion=clip.motion * np.array([1, 1, 2], np.float32))
    assert relative(clip, reference) < 0.25
    assert relative(far, reference) == pytest.approx(relative(clip, reference), rel=1e-3)


def test_a_lost_point_costs_no_more_however_far_off() -> None:
    clip = ball((0.3, 0, 0))
    reference = reference_of(clip)
    (tracked,) = reference.objects
    distances = []
    for factor in (1e3, 1e6):
        depth = clip.depth.copy()
        depth[1:] *= factor
        distances.append(world_distance(clip.with_(depth=depth), reference, align="first_frame").chamfer_4d)
    assert distances[0] == pytest.approx(distances[1])
    assert relative(at_rest(clip), reference) * reference.scale < distances[0] <= 2 * tracked.limit


def test_two_objects_that_exchange_places_are_not_taken_for_each_other() -> None:
    frames = FRAMES
    wall = translation(np.tile([0.0, 0.0, 6.0], (frames, 1)))
    way = np.array([0.3, 0, 0]) * np.arange(frames)[:, None]
    left, right = (Sphere(translation([x, y, 3] + s * way), 0.25) for x, y, s in ((-0.6, -0.5, 1), (0.6, 0.5, -1)))
    scene = AnalyticScene([Plane(wall), left, right], translation(np.zeros((frames, 3))), 64, 64)
    clip = scene.clip("pair", np.random.default_rng(0))
    reference = reference_of(clip)
    assert len(reference.objects) == 2
    assert relative(clip, reference) < 0.2
    mirrored = clip.with_(motion=clip.motion * np.array([-1, 1, 1], np.float32))
    assert relative(mirrored, reference) > 1


def test_an_object_is_compared_while_enough_of_it_is_visible() -> None:
    clip = ball((0.7, 0, 0), frames=9)  # its middle leaves the image at x = 1.7 m, after three frames
    (tracked,) = reference_of(clip).objects
    assert 3 <= len(tracked.tracks.points) <= 5
    (whole,) = reference_of(clip, WorldConfig(visible_share=1.0)).objects
    assert len(whole.tracks.points) < len(tracked.tracks.points)


def test_pixels_are_spread_over_the_object_and_no_more_than_asked_for() -> None:
    reference = reference_of(ball((0.3, 0, 0)), WorldConfig(tracks=20))
    start = reference.objects[0].tracks.start
    everything = reference_of(ball((0.3, 0, 0))).objects[0].tracks.start
    assert len(start) == 20 < len(everything)
    torch.testing.assert_close(start.mean(0), everything.mean(0), atol=1.5, rtol=0)


def test_clips_without_a_moving_object_judge_nothing_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    cameras = translation(np.array([0.1, 0, 0]) * np.arange(FRAMES)[:, None])
    still = ball((0, 0, 0), cameras).with_(clip_id="still")
    with caplog.at_level(logging.INFO):
        references = prepare_references([still, make_clip(0)], CONFIG)
    assert references[0] is None
    assert references[1] is not None
    assert "1 of 2 clips" in caplog.text
    assert "still" in caplog.text
    assert prepare_reference(ball((0.3, 0, 0)), WorldConfig(fewest_pixels=4096)) is None


def test_what_cannot_be_judged_is_refused_by_name() -> None:
    clip = ball((0.3, 0, 0))
    reference = reference_of(clip)
    with pytest.raises(InvalidClipError, match=r"'ball'.*infinite"):
        world_distance(clip.with_(depth=np.full_like(clip.depth, np.inf)), reference, align="none")
    with pytest.raises(InvalidClipError, match=r"'sphere-0000' is \(5, 32, 32, 3\)"):
        world_distance(make_clip(0), reference, align="none")
    with pytest.raises(MissingAnnotationError, match="motion"):
        world_distance(clip.with_(motion=None, motion_valid=None), reference, align="none")
    with pytest.raises(MissingAnnotationError, match="tracks"):
        prepare_reference(clip.with_(tracks=None, track_instance=None, track_visible=None), CONFIG)


def test_the_given_frame_takes_the_place_of_the_decoded_one() -> None:
    clip = ball((0.3, 0, 0))
    dark = clip.with_(rgb=clip.rgb // 2)
    given = with_given_frame(dark, reference_of(clip))
    assert (given.rgb[0] == clip.rgb[0]).all()
    assert (given.rgb[1:] == dark.rgb[1:]).all()
    with pytest.raises(InvalidClipError, match="generate as many frames"):
        with_given_frame(make_clip(0), reference_of(clip))
