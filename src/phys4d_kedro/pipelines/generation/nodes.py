"""Nodes of the generation pipeline: first frames and prompts -> 4D clips, and files of them to look at.

Figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and Matplotlib stays out then.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.world_model.config import GenerationConfig, LoadingConfig


def generate_clips(
    backbone: Path, heads: Path, heldout: ClipStore, parameters: GenerationConfig, loading: LoadingConfig
) -> ClipSource:
    """Generate clips of held-out first frames and prompts, and of images of one's own, batch by batch."""
    from phys4d_kedro.evaluation.evaluate import choose_examples
    from phys4d_kedro.world_model.generation import world_source
    from phys4d_kedro.world_model.requests import read_images, requests_like
    from phys4d_kedro.world_model.stage_folders import seed_folders

    samples = range(parameters.seed, parameters.seed + parameters.samples)
    shown = heldout.subset(choose_examples(heldout, parameters.clips))
    return world_source(
        backbone,
        next(iter(seed_folders(heads).values())),
        [*read_images(parameters, samples), *requests_like(shown, samples)],
        parameters.sampling,
        noise_level=parameters.noise_level,
        loading=loading,
    )


def export_videos(generated: ClipStore, heldout: ClipStore) -> dict[str, Callable[[], bytes]]:
    """Write RGB, depth and motion of each clip as MP4 files, and a comparison with the true clip where there is one."""
    from phys4d_kedro.reporting.exports import video_files

    return video_files(generated, heldout)


def export_point_clouds(generated: ClipStore) -> dict[str, Callable[[], bytes]]:
    """Write each frame of each clip as a coloured point cloud with scene flow (PLY files)."""
    from phys4d_kedro.reporting.exports import point_cloud_files

    return point_cloud_files(generated)


def draw_samples(generated: ClipStore, heldout: ClipStore) -> dict[str, Any]:
    """Show the first sample of each generated clip below the true one (Matplotlib figures by file)."""
    from phys4d_kedro.reporting.exports import with_truth
    from phys4d_kedro.reporting.samples import Sample, sample_pages

    samples: dict[str, Sample] = {}
    for clip, truth in with_truth(generated, heldout):
        if truth is not None:
            samples.setdefault(truth.clip_id, Sample(truth, clip))
    return {f"{name}.png": figure for name, figure in sample_pages(list(samples.values()))}


def record_generated_clip(generated: ClipStore, heldout: ClipStore) -> bytes:
    """Record the first generated clip, beside the true one where there is one, in space and time (an .rrd file)."""
    from phys4d_kedro.reporting.exports import with_truth
    from phys4d_kedro.reporting.recording import record

    clip, truth = next(with_truth(generated, heldout))
    return record(clip) if truth is None else record(truth, clip)
