"""Nodes of the physics_iq_generation pipeline: first frames and prompts of the data set -> MP4 files."""

from pathlib import Path
from typing import Any

from phys4d_kedro.evaluation.physics_iq.config import PhysicsIqGenerationConfig
from phys4d_kedro.world_model.config import LoadingConfig, SamplingConfig


def generate_physics_iq_videos(
    backbone: Path, parameters: PhysicsIqGenerationConfig, sampling: SamplingConfig, loading: LoadingConfig
) -> dict[str, Any]:
    """Generate a video of every scenario and view for each seed; whole files that are there already are kept."""
    from functools import partial

    from phys4d_kedro.evaluation.physics_iq.generation import generate_videos
    from phys4d_kedro.reporting.video import encode_mp4
    from phys4d_kedro.world_model.backbones import load_backbone

    encode = partial(encode_mp4, least_side=1)
    return generate_videos(load_backbone(backbone, loading), parameters, sampling, encode)
