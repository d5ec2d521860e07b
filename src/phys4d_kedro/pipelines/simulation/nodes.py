"""Nodes of the simulation pipeline.

Figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and Matplotlib stays out then.
"""

from typing import Any

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.simulation.config import SimulationConfig


def simulate_training_clips(parameters: SimulationConfig) -> ClipSource:
    """Draw, simulate, render and annotate the training clips, shard by shard as they are saved."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "train")


def simulate_heldout_clips(parameters: SimulationConfig) -> ClipSource:
    """Do the same for configurations that no training sees."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "heldout")


def draw_simulation_gallery(clips: ClipStore) -> Any:
    """Show a clip of every scene with its annotations (a Matplotlib figure)."""
    from phys4d_kedro.reporting.gallery import draw_gallery, one_clip_a_scene

    return draw_gallery(one_clip_a_scene(clips))
