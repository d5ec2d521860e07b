"""The pretrain pipeline (stage 1)."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.latents import cache_latents
from phys4d_kedro.pipelines.pretrain import nodes


def create_pipeline(**_: object) -> Pipeline:
    """backbone, labeled_clips -> heads (seed_<n>/{depth,motion}), pretrain_history."""
    return Pipeline(
        [
            Node(
                cache_latents,
                inputs=["backbone", "labeled_clips", "labeled_clips_quality", "params:world_model"],
                outputs="latents",
                name="cache_labeled_latents_node",
                tags=["pretrain", "gpu"],
            ),
            Node(
                nodes.train_heads,
                inputs=["backbone", "labeled_clips", "latents", "params:pretrain", "params:world_model"],
                outputs=["heads", "pretrain_history"],
                name="train_depth_and_motion_heads_node",
                tags=["pretrain", "gpu"],
            ),
        ]
    )
