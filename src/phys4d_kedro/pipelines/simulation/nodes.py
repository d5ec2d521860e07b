"""Nodes of the simulation pipeline.

Figures are annotated as `Any`: Kedro resolves annotations when pipelines are listed, and Matplotlib stays out then.
"""

from typing import Any

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.pipelines.quality import gate, validate_clips
from phys4d_kedro.simulation.config import SimulationConfig


def simulate_training_clips(parameters: SimulationConfig) -> ClipSource:
    """Draw, simulate, render and annotate the training clips, shard by shard as they are saved."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "train")


def simulate_validation_clips(parameters: SimulationConfig) -> ClipSource:
    """Do the same for configurations by which trainings are chosen between."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "validation")


def simulate_heldout_clips(parameters: SimulationConfig) -> ClipSource:
    """Do the same for configurations that no training sees."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "heldout")


def simulate_unseen_clips(parameters: SimulationConfig) -> ClipSource:
    """Do the same for whole scenes that are in no other set; without `unseen` in the parameters there are no clips."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "unseen")


@gate
def validate_unseen_clips(clips: ClipStore, parameters: SimulationConfig) -> dict[str, Any]:
    """Check these clips like the others, but for the categories that they cover: those of their scenes."""
    from phys4d_kedro.simulation.scenes import SCENES

    if parameters.unseen is None:
        return {"clips": 0, "categories": {}, "statistics": {}, "checks": []}
    categories = tuple(sorted({SCENES[name].category for name in parameters.unseen.scenes}))
    return validate_clips(clips, parameters.quality.model_copy(update={"categories": categories}))


def draw_simulation_gallery(clips: ClipStore) -> Any:
    """Show a clip of every scene with its annotations (a Matplotlib figure)."""
    from phys4d_kedro.reporting.gallery import draw_gallery, one_clip_a_scene

    return draw_gallery(one_clip_a_scene(clips))
