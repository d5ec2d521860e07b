"""Rectified flow: its ends, its target, its steps, and timesteps that are moved by the size of a video."""

import math
from pathlib import Path

import pytest
import torch

from phys4d_kedro.world_model.opensora.scheduler import OpenSoraScheduler

SIZE = {"height": 240, "width": 424, "num_frames": 51}


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Clean latents and noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 5, 5, 4, generator=generator).unbind(0)


def test_noise_goes_straight_from_clean_latents_to_noise() -> None:
    clean, noise = pair()
    scheduler = OpenSoraScheduler()
    assert torch.equal(scheduler.add_noise(clean, noise, torch.zeros(3)), clean)
    assert torch.equal(scheduler.add_noise(clean, noise, torch.full((3,), 1000.0)), noise)
    mixed = scheduler.add_noise(clean, noise, torch.tensor([0.0, 250.0, 1000.0]))
    assert torch.equal(mixed[0], clean[0])
    assert torch.allclose(mixed[1], 0.75 * clean[1] + 0.25 * noise[1])


def test_the_velocity_leads_back_to_clean_latents() -> None:
    """d x / d s = noise - clean = - velocity, all the way."""
    clean, noise = pair()
    scheduler = OpenSoraScheduler()
    velocity, timesteps = scheduler.get_velocity(clean, noise), torch.tensor([100.0, 500.0, 900.0])
    noisy = scheduler.add_noise(clean, noise, timesteps)
    later = scheduler.add_noise(clean, noise, timesteps + 10)
    assert torch.allclose((later - noisy) / 0.01, -velocity, atol=1e-3)
    assert torch.allclose(noisy + (timesteps / 1000).view(-1, 1, 1, 1, 1) * velocity, clean, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
def test_an_oracle_is_sampled_exactly(steps: int) -> None:
    clean, noise = pair()
    scheduler = OpenSoraScheduler()
    scheduler.set_timesteps(steps, **SIZE)
    assert len(scheduler.timesteps) == steps
    latents = noise
    for timestep in scheduler.timesteps:
        expected = scheduler.add_noise(clean, noise, timestep.expand(3))
        assert torch.allclose(latents, expected, atol=1e-5)
        latents = scheduler.step(scheduler.get_velocity(clean, noise), timestep, latents).prev_sample
    assert torch.allclose(latents, clean, atol=1e-5)


def test_steps_follow_the_fields_curve() -> None:
    """The velocity -x of d x / d s = x, in N Euler steps of 1 / N: x_0 = x_1 (1 - 1 / N)^N."""
    scheduler = OpenSoraScheduler(use_timestep_transform=False)
    scheduler.set_timesteps(10, **SIZE)
    assert scheduler.timesteps.tolist() == pytest.approx([1000 - 100 * step for step in range(10)])
    latents = torch.ones(1)
    for timestep in scheduler.timesteps:
        (latents,) = scheduler.step(-latents, timestep, latents, return_dict=False)
    assert latents.item() == pytest.approx(0.9**10)


@pytest.mark.parametrize("frames", [1, 17, 34, 51, 102])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (240, 424), (512, 512), (720, 1280)])
def test_timesteps_are_moved_as_published(height: int, width: int, frames: int) -> None:
    ratio = math.sqrt(height * width / (512 * 512)) * math.sqrt(1 if frames == 1 else frames // 17 * 5)
    timesteps = torch.tensor([0.0, 1.0, 250.0, 999.0, 1000.0])
    moved = OpenSoraScheduler().transform_timesteps(timesteps, height=height, width=width, num_frames=frames)
    expected = [1000 * ratio * s / (1 + (ratio - 1) * s) for s in (timesteps / 1000).tolist()]
    assert moved.tolist() == pytest.approx(expected, rel=1e-5)


def test_larger_videos_stay_longer_at_high_noise() -> None:
    scheduler, middle = OpenSoraScheduler(), []
    for frames, edge in [(1, 256), (1, 512), (5, 512), (9, 512), (17, 512), (18, 512), (34, 512), (34, 1024)]:
        scheduler.set_timesteps(20, height=edge, width=edge, num_frames=frames)
        assert scheduler.timesteps[0] == 1000
        assert (scheduler.timesteps.diff() < 0).all()
        assert scheduler.timesteps[-1] > 0
        middle.append(float(scheduler.timesteps[10]))
    assert middle == sorted(set(middle))
    assert middle[1] == pytest.approx(500)  # one frame of 512x512 is where nothing is moved


def test_the_scale_moves_further() -> None:
    plain, further = OpenSoraScheduler(), OpenSoraScheduler(transform_scale=3.0)
    timesteps, image = torch.tensor([500.0]), {"height": 512, "width": 512, "num_frames": 1}
    assert further.transform_timesteps(timesteps, **image).item() == pytest.approx(750)
    assert plain.transform_timesteps(timesteps, **image).item() == pytest.approx(500)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    OpenSoraScheduler(transform_scale=3.0).save_pretrained(tmp_path)
    loaded = OpenSoraScheduler.from_pretrained(tmp_path)
    assert (loaded.config.transform_scale, loaded.config.use_timestep_transform) == (3.0, True)
    assert len(loaded) == 1000
