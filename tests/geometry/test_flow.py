import numpy as np
import pytest
import torch
from factories import AnalyticScene, Plane, Sphere, rotation, translation

from phys4d_kedro.geometry.flow import compose, occlusion, resize_motion, warp, warp_residual

FRAMES = 5
TIME = np.arange(FRAMES)[:, None]
STILL = translation(np.zeros((FRAMES, 3)))


def scenes() -> dict[str, AnalyticScene]:
    wall = translation(np.tile([0.0, 0.0, 4.0], (FRAMES, 1)))
    slanted = wall.copy()
    slanted[:, :3, :3] = rotation([0.3, 1, 0], np.full(FRAMES, 0.5))[:, :3, :3]
    turning = wall @ rotation([1, 0.4, 0], 0.3 + 0.1 * TIME[:, 0])
    drifting = translation(np.array([0.06, -0.04, 0.1]) * TIME) @ rotation([0, 1, 0.2], 0.02 * TIME[:, 0])
    return {
        "translating plane": AnalyticScene([Plane(translation([0, 0, 4] + np.array([0.1, 0.05, -0.2]) * TIME))], STILL),
        "rotating plane": AnalyticScene([Plane(turning)], STILL),
        "moving camera": AnalyticScene([Plane(slanted)], drifting),
        "approaching sphere": AnalyticScene(
            [Plane(wall), Sphere(translation([0.1, 0, 2.5] + np.array([0.02, 0.03, -0.15]) * TIME), 0.6)], drifting
        ),
    }


def tensors(scene: AnalyticScene) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    exact = scene.annotate()
    return (
        torch.from_numpy(exact["depth"]),
        torch.from_numpy(exact["motion"]).movedim(-1, -3),
        torch.from_numpy(exact["motion_valid"]),
    )


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("name", ["translating plane", "rotating plane", "moving camera"])
def test_residual_of_exact_planes_is_zero_to_rounding(name, log):
    depth, motion, valid = tensors(scenes()[name])
    residual, mask = warp_residual(depth[:-1], depth[1:], motion, valid, log=log)
    assert mask.float().mean() > 0.7
    assert motion[:, 2].abs().max() > 0.01  # depth really changes: dz matters
    assert residual.max() < 1e-9


def test_residual_of_an_exact_sphere_is_interpolation_error_that_shrinks_with_resolution():
    means = []
    for scale in (1, 2, 4):
        base = scenes()["approaching sphere"]
        scene = AnalyticScene(base.bodies, base.cameras, base.height * scale, base.width * scale)
        depth, motion, valid = tensors(scene)
        inner = torch.from_numpy(scene.annotate()["segmentation"][:-1] == 1)
        residual, mask = warp_residual(depth[:-1], depth[1:], motion, valid)
        means.append(residual[mask & inner].median().item())
    assert means[0] < 2e-3
    assert means[2] < means[1] / 2 < means[0] / 4  # interpolation: second order in the pixel


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_residual_grows_when_depth_or_motion_is_perturbed(dtype):
    depth, motion, valid = (a.to(dtype) if a.is_floating_point() else a for a in tensors(scenes()["rotating plane"]))
    exact = warp_residual(depth[:-1], depth[1:], motion, valid)[0].mean()
    farther = depth[1:] * 1.1
    sideways, no_dz = motion.clone(), motion.clone()
    sideways[:, 1] += 2.0
    no_dz[:, 2] = 0
    for args in ((depth[:-1], farther, motion), (depth[:-1], depth[1:], sideways), (depth[:-1], depth[1:], no_dz)):
        assert warp_residual(*args, valid)[0].mean() > 100 * exact + 1e-3


def test_residual_matches_a_pixel_by_pixel_reference():
    depth, motion, valid = tensors(scenes()["approaching sphere"])
    motion = motion + 0.3 * torch.randn(motion.shape, dtype=motion.dtype, generator=torch.Generator().manual_seed(1))
    residual, mask = warp_residual(depth[0], depth[1], motion[0], valid[0])
    height, width = depth.shape[-2:]
    for i in range(height):
        for j in range(width):
            x, y = j + motion[0, 0, i, j].item(), i + motion[0, 1, i, j].item()
            expected_mask = bool(valid[0, i, j]) and 0 <= x <= width - 1 and 0 <= y <= height - 1
            assert bool(mask[i, j]) == expected_mask
            if not expected_mask:
                assert residual[i, j] == 0
                continue
            x0, y0 = min(int(x), width - 2), min(int(y), height - 2)
            inverse = sum(
                (1 - abs(x - u)) * (1 - abs(y - v)) / depth[1, v, u].item() for u in (x0, x0 + 1) for v in (y0, y0 + 1)
            )
            r = -np.log(inverse) - np.log(depth[0, i, j].item() + motion[0, 2, i, j].item())
            assert residual[i, j].item() == pytest.approx(abs(r), abs=1e-9)


def test_residual_has_the_gradients_of_finite_differences():
    depth, motion, valid = tensors(scenes()["approaching sphere"])
    depth, motion = depth[:2, 8:14, 12:20].clone(), motion[:1, :, 8:14, 12:20].clone() * 0.3 + 0.137
    depth[1, 2, 3] = torch.inf  # a hole must not poison its neighbours' gradients
    hole = torch.zeros_like(depth[1])
    hole[2, 3] = torch.inf
    finite = torch.where(torch.isfinite(depth[1]), depth[1], 1.0).requires_grad_()
    first, moved = depth[:1].clone().requires_grad_(), motion.clone().requires_grad_()

    def total(a: torch.Tensor, b: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        return warp_residual(a, (b + hole)[None], m, valid[:1, 8:14, 12:20])[0].sum()

    assert torch.autograd.gradcheck(total, (first, finite, moved))
    for gradient in torch.autograd.grad(total(first, finite, moved), (first, finite, moved)):
        assert gradient.abs().sum() > 0


def test_descending_the_residual_repairs_depth_and_motion():
    depth, motion, valid = tensors(scenes()["translating plane"])
    guess, shift = (depth[1:2] * 1.2).requires_grad_(), motion[:1].clone()
    shift[:, 2] += 0.3
    shift.requires_grad_()
    for parameter in (guess, shift):
        others = (depth[:1], guess, motion[:1]) if parameter is guess else (depth[:1], depth[1:2], shift)
        before = warp_residual(*others, valid[:1])[0].mean()
        for _ in range(100):
            (gradient,) = torch.autograd.grad(warp_residual(*others, valid[:1])[0].sum(), parameter)
            parameter.data -= 0.01 * gradient.sign()
        assert warp_residual(*others, valid[:1])[0].mean() < 0.2 * before


def test_occluded_outside_and_infinite_pixels_are_silent():
    depth, motion, valid = tensors(scenes()["approaching sphere"])
    occluded = ~valid
    assert occluded.any()
    wrong = motion.clone()
    wrong[:, 0][occluded] += 1.7
    first = warp_residual(depth[:-1], depth[1:], motion, valid)
    second = warp_residual(depth[:-1], depth[1:], wrong, valid)
    assert torch.equal(first[0], second[0])
    assert not first[1][occluded].any()
    depth[2, 10:14, 10:14] = torch.inf
    residual, mask = warp_residual(depth[:-1], depth[1:], motion, valid)
    assert not mask[2, 10:14, 10:14].any()  # infinite at t
    assert not mask[1, 11:13, 11:13].any()  # and samples that touch it at t+1
    assert torch.isfinite(residual).all()
    assert residual.max() < 1.0  # no sample mixed infinity in


def test_a_point_predicted_behind_the_camera_costs_much_and_pulls_back():
    depth = torch.full((2, 4, 4), 2.0, dtype=torch.float64)
    motion = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    motion[:, 2] = -3.0
    motion.requires_grad_()
    residual = warp_residual(depth[:1], depth[1:], motion, torch.ones(1, 4, 4, dtype=torch.bool))[0]
    assert torch.isfinite(residual).all()
    assert residual.min() > 3
    (gradient,) = torch.autograd.grad(residual.sum(), motion)
    assert (gradient[:, 2] < 0).all()


def test_warp_of_whole_pixels_shifts_and_marks_what_left():
    values = torch.arange(2 * 5 * 7, dtype=torch.float64).reshape(2, 5, 7)
    motion = torch.zeros(2, 5, 7, dtype=torch.float64)
    motion[0], motion[1] = 2, -1
    warped, inside = warp(values, motion)
    torch.testing.assert_close(warped[:, 1:, :5], values[:, :-1, 2:])
    expected = torch.zeros(5, 7, dtype=torch.bool)
    expected[1:, :5] = True
    assert torch.equal(inside, expected)


def test_compose_of_exact_motions_is_the_exact_motion_over_two_frames():
    base = scenes()["moving camera"]
    _, motion, valid = tensors(base)
    direct = AnalyticScene([Plane(base.bodies[0].poses[::2])], base.cameras[::2])
    _, expected, expected_valid = tensors(direct)
    both, known = compose(motion[0], motion[1], valid[0], valid[1])
    assert known.float().mean() > 0.7
    assert not (known & ~expected_valid[0]).any()
    assert (both - expected[0])[:, known].abs().max() < 0.02


def test_resizing_a_motion_field_rescales_its_values():
    scene = scenes()["moving camera"]
    small = AnalyticScene(scene.bodies, scene.cameras, scene.height // 2, scene.width // 2)
    resized = resize_motion(tensors(scene)[1], (16, 20))
    interior = (resized - tensors(small)[1])[..., 1:-1, 1:-1]
    assert interior.abs().max() < 0.02
    up = resize_motion(tensors(small)[1], (32, 40)) - tensors(scene)[1]
    assert up[..., 2:-2, 2:-2].abs().max() < 0.02


def test_forward_backward_consistency_finds_what_the_simulator_says_is_hidden():
    time = np.arange(2)[:, None]
    wall = translation(np.tile([0.0, 0.0, 4.0], (2, 1)))
    sphere = translation([0.0, 0, 2.5] + np.array([0.4, 0, 0]) * time)
    still = translation(np.zeros((2, 3)))
    there = AnalyticScene([Plane(wall), Sphere(sphere, 0.6)], still, 48, 64)
    back = AnalyticScene([Plane(wall), Sphere(sphere[::-1], 0.6)], still, 48, 64)
    visible = occlusion(tensors(there)[1][0, :2], tensors(back)[1][0, :2])
    truth = tensors(there)[2][0]
    assert (~truth).sum() > 100
    assert (visible == truth).float().mean() > 0.97
