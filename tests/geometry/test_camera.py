import numpy as np
import pytest
import torch

from phys4d_kedro.geometry.camera import (
    intrinsics_from_fov,
    invert_pose,
    look_at,
    pixel_grid,
    project,
    ray_length_to_depth,
    transform,
    unproject,
)


def test_pixel_grid_holds_centres_x_first():
    grid = pixel_grid(3, 5, torch.float64)
    assert grid.shape == (3, 5, 2)
    assert grid[2, 4].tolist() == [4.5, 2.5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_projecting_what_was_unprojected_gives_pixel_and_depth_back(dtype):
    intrinsics = torch.tensor([[50.0, 0, 18.3], [0, 47.0, 13.1], [0, 0, 1]], dtype=torch.float64)
    depth = torch.rand(2, 24, 32, dtype=dtype, generator=torch.Generator().manual_seed(0)) + 1
    pixels, back = project(unproject(depth, intrinsics), intrinsics)
    assert pixels.dtype == dtype
    torch.testing.assert_close(pixels, pixel_grid(24, 32, dtype).expand_as(pixels), atol=1e-4, rtol=0)
    torch.testing.assert_close(back, depth)


def test_the_field_of_view_spans_the_image_edge_to_edge():
    intrinsics = torch.from_numpy(intrinsics_from_fov(60.0, 48, 64))
    half = np.tan(np.radians(30))
    pixels, _ = project(torch.tensor([[0.0, -half, 1], [0, half, 1]], dtype=torch.float64), intrinsics)
    torch.testing.assert_close(pixels, torch.tensor([[32.0, 0], [32, 48]], dtype=torch.float64))
    with pytest.raises(ValueError, match="180"):
        intrinsics_from_fov(180, 4, 4)


def test_ray_length_becomes_depth_along_the_axis():
    intrinsics = torch.from_numpy(intrinsics_from_fov(90.0, 16, 16))
    depth = torch.full((16, 16), 3.0, dtype=torch.float64)
    length = unproject(depth, intrinsics).norm(dim=-1)
    length[0, 0] = torch.inf
    back = ray_length_to_depth(length, intrinsics)
    assert back[0, 0] == torch.inf
    torch.testing.assert_close(back[1:], depth[1:])


def test_look_at_puts_the_target_on_the_axis_and_up_up():
    eye, target = np.array([3.0, -2.0, 1.5]), np.array([0.2, 0.4, 0.3])
    pose = look_at(eye, target)
    inverse = invert_pose(torch.from_numpy(pose))
    torch.testing.assert_close(inverse, torch.linalg.inv(torch.from_numpy(pose)))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
    seen = transform(torch.from_numpy(np.stack([target, target + np.array([0, 0, 0.1])])), inverse).numpy()
    np.testing.assert_allclose(seen[0], [0, 0, np.linalg.norm(target - eye)], atol=1e-12)
    assert seen[1][1] < 0  # image y points down
    assert seen[1][0] == pytest.approx(0, abs=1e-12)


def test_look_at_refuses_a_view_along_up_and_takes_batches():
    with pytest.raises(ValueError, match="parallel"):
        look_at([0, 0, 1], [0, 0, 0])
    eyes = np.array([[1.0, 0, 1], [0, 2, 1]])
    batch = look_at(eyes, [0, 0, 0.5])
    np.testing.assert_array_equal(batch[1], look_at(eyes[1], [0, 0, 0.5]))


def test_transform_moves_each_frame_by_its_own_pose():
    rng = np.random.default_rng(0)
    poses = torch.from_numpy(np.stack([look_at(e, [0, 0, 0]) for e in rng.normal([3, 0, 0], size=(3, 3))]))
    points = torch.from_numpy(rng.normal(size=(3, 4, 5, 3)))
    moved = transform(points, poses)
    by_hand = poses[1].numpy() @ np.append(points[1, 2, 3].numpy(), 1.0)
    np.testing.assert_allclose(moved[1, 2, 3].numpy(), by_hand[:3])
    torch.testing.assert_close(transform(moved, invert_pose(poses)), points)
    with pytest.raises(ValueError, match="fewer dimensions"):
        transform(points[0, 0, 0], poses[:, None])
