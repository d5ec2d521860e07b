"""Stage 3, simulation-grounded reinforcement learning: the sampler, rewarded for worlds that move as simulated ones."""

from phys4d_kedro.pipelines.rl.pipeline import create_pipeline

__all__ = ["create_pipeline"]
