"""Nodes of the simulation pipeline."""

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.simulation.config import SimulationConfig


def simulate_training_clips(parameters: SimulationConfig) -> ClipSource:
    """Draw, simulate, render and annotate the training clips, shard by shard as they are saved."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "train")


def simulate_heldout_clips(parameters: SimulationConfig) -> ClipSource:
    """Do the same for configurations that no training sees."""
    from phys4d_kedro.simulation.generate import simulation_source

    return simulation_source(parameters, "heldout")
