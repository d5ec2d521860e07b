"""Point clouds: PLY files parsed back by their own headers, and points where geometry says they are."""

import math

import factories
import numpy as np
import pytest

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.errors import MissingAnnotationError
from phys4d_kedro.reporting.point_clouds import Camera, camera_of, point_clouds, scene_flow, world_points

TYPES = {"float": "<f4", "uchar": "u1"}


def parse(content: bytes) -> np.ndarray:
    """The vertices of a binary little-endian PLY file, by what its header says."""
    header, _, body = content.partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    (count,) = (int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    properties = [line.split()[1:] for line in lines if line.startswith("property")]
    vertices = np.frombuffer(body, [(name, TYPES[kind]) for kind, name in properties])
    assert len(vertices) == count
    return vertices


def columns(vertices: np.ndarray, *names: str) -> np.ndarray:
    return np.stack([vertices[name] for name in names], -1)


@pytest.fixture
def clip() -> Clip:
    """A sphere before a slanted wall, seen by a camera that drifts."""
    return factories.make_clip(0)


def test_there_is_a_file_a_frame_with_points_colours_and_flow(clip: Clip) -> None:
    files = dict(point_clouds(clip))
    assert list(files) == [f"frame_{frame:04d}.ply" for frame in range(5)]
    for frame, content in enumerate(files.values()):
        vertices = parse(content)
        names = ("x", "y", "z", "red", "green", "blue")
        assert vertices.dtype.names == names + (("vx", "vy", "vz", "visible_next") if frame < 4 else ())
        assert len(vertices) == 32 * 32
        assert np.array_equal(columns(vertices, "red", "green", "blue"), clip.rgb[frame].reshape(-1, 3))
        assert np.array_equal(
            columns(vertices, "x", "y", "z"), world_points(clip, camera_of(clip), frame).reshape(-1, 3)
        )
    assert clip.motion_valid is not None
    assert np.array_equal(parse(files["frame_0002.ply"])["visible_next"], clip.motion_valid[2].reshape(-1))


def test_points_lie_on_the_surfaces() -> None:
    """A wall 4 m before a camera that has moved 1 m to the right, in a world turned on its side."""
    poses = factories.rotation([0, 0, 1], np.full(5, math.pi / 2))
    poses[:, :3, 3] = [0.0, 1.0, 0.0]
    wall = factories.translation(np.tile([0.0, 0.0, 4.0], (5, 1)))
    scene = factories.AnalyticScene([factories.Plane(wall)], poses, 8, 8, fov=90.0)
    clip = scene.clip("wall", np.random.default_rng(0))
    vertices = parse(dict(point_clouds(clip))["frame_0000.ply"])
    np.testing.assert_allclose(vertices["z"], 4.0, rtol=1e-6)
    # The first pixel looks 3.5 pixels of 4 left and up: in the world, right by 3.5 and (from y = 1) up by 3.5.
    np.testing.assert_allclose(columns(vertices, "x", "y")[0], [3.5, 1.0 - 3.5], atol=1e-5)
    np.testing.assert_allclose(columns(vertices, "vx", "vy", "vz"), 0, atol=1e-5)


def test_flow_of_the_still_is_zero_though_the_camera_moves_and_that_of_the_moving_is_its_velocity(clip: Clip) -> None:
    assert clip.segmentation is not None
    assert clip.tracks is not None
    velocity = clip.tracks[1, 0] - clip.tracks[0, 0]
    assert np.linalg.norm(velocity) > 0.03
    flow = scene_flow(clip, camera_of(clip), 0)
    sphere = clip.segmentation[0] == 1
    np.testing.assert_allclose(flow[~sphere], 0, atol=1e-4)
    np.testing.assert_allclose(flow[sphere], np.tile(velocity, (int(sphere.sum()), 1)), atol=1e-4)


def test_infinite_depth_is_left_out(clip: Clip) -> None:
    assert clip.depth is not None
    depth = clip.depth.copy()
    depth[0, :, 5:] = np.inf
    files = dict(point_clouds(clip.with_(depth=depth)))
    vertices = parse(files["frame_0000.ply"])
    assert len(vertices) == 32 * 5
    assert np.isfinite(columns(vertices, "x", "y", "z", "vx", "vy", "vz")).all()
    assert np.array_equal(columns(vertices, "red", "green", "blue"), clip.rgb[0, :, :5].reshape(-1, 3))
    everything = parse(dict(point_clouds(clip))["frame_0000.ply"]).reshape(32, 32)
    assert np.array_equal(vertices, everything[:, :5].reshape(-1))
    nothing = clip.with_(depth=np.full_like(depth, np.inf))
    assert len(parse(dict(point_clouds(nothing))["frame_0003.ply"])) == 0


class TestCamera:
    """Whose camera counts."""

    def test_is_assumed_where_there_is_none(self, clip: Clip) -> None:
        bare = clip.with_(intrinsics=None, world_from_camera=None)
        camera = camera_of(bare)
        assert np.array_equal(camera.world_from_camera, np.tile(np.eye(4), (5, 1, 1)))
        focal = 16 / math.tan(math.radians(25))
        np.testing.assert_allclose(camera.intrinsics, [[focal, 0, 16], [0, focal, 16], [0, 0, 1]])
        vertices = parse(dict(point_clouds(bare))["frame_0001.ply"])
        assert bare.depth is not None
        np.testing.assert_array_equal(vertices["z"], bare.depth[1].reshape(-1))
        expected = (np.arange(32) + 0.5 - 16) / focal * bare.depth[1]
        np.testing.assert_allclose(vertices["x"].reshape(32, 32), expected, rtol=1e-5)

    def test_of_the_clip_is_taken_and_a_given_one_comes_first(self, clip: Clip) -> None:
        assert camera_of(clip).intrinsics is clip.intrinsics
        assert camera_of(clip).world_from_camera is clip.world_from_camera
        moved = Camera(camera_of(clip).intrinsics, factories.translation(np.tile([0.0, 0.0, 10.0], (5, 1))))
        vertices = parse(dict(point_clouds(clip, moved))["frame_0000.ply"])
        assert clip.depth is not None
        np.testing.assert_allclose(vertices["z"], clip.depth[0].reshape(-1) + 10, rtol=1e-6)


def test_a_clip_without_motion_has_no_flow_and_one_without_depth_no_points(clip: Clip) -> None:
    still = clip.with_(motion=None, motion_valid=None)
    assert parse(dict(point_clouds(still))["frame_0000.ply"]).dtype.names == ("x", "y", "z", "red", "green", "blue")
    with pytest.raises(MissingAnnotationError, match=r"sphere-0000.*'depth'"):
        next(point_clouds(clip.with_(depth=None)))
