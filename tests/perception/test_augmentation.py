"""Random colours: within range, a function of the generator, and nothing when nothing is asked for."""

import torch

from phys4d_kedro.perception.augmentation import augment, blur
from phys4d_kedro.perception.config import AugmentationConfig

NOTHING = {"jitter": 0.0, "grey_share": 0.0, "blur_share": 0.0, "noise": 0.0}


def frames(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, 8, 10, generator=torch.Generator().manual_seed(0))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_asked_for_changes_nothing() -> None:
    torch.testing.assert_close(augment(frames(), AugmentationConfig(**NOTHING), seeded(1)), frames(), atol=1e-3, rtol=0)


def test_result_stays_in_range_differs_by_frame_and_repeats_with_its_generator() -> None:
    config = AugmentationConfig(jitter=0.5, grey_share=0.5, blur_share=0.5, noise=0.1)
    same = frames(1).repeat(6, 1, 1, 1)
    first = augment(same, config, seeded(1))
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, augment(same, config, seeded(1)))
    assert not torch.equal(first, augment(same, config, seeded(2)))
    assert all(not torch.equal(first[0], frame) for frame in first[1:])


def test_grey_frames_are_grey() -> None:
    grey = augment(frames(), AugmentationConfig(**NOTHING | {"grey_share": 1.0}), seeded(0))
    torch.testing.assert_close(grey[:, 0], grey[:, 1])
    torch.testing.assert_close(grey[:, 0], frames().mean(1), atol=1e-3, rtol=0)


def test_blur_keeps_a_ramp_and_the_total_of_a_dot() -> None:
    ramp = torch.arange(10.0).expand(1, 3, 8, 10)
    torch.testing.assert_close(blur(ramp)[..., 1:-1], ramp[..., 1:-1])
    dot = torch.zeros(1, 1, 7, 7)
    dot[..., 3, 3] = 16
    assert blur(dot)[0, 0, 2:5, 2:5].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
