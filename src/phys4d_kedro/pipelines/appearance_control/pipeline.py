"""The appearance_control pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.appearance_control import nodes
from phys4d_kedro.pipelines.latents import cache_latents


def create_pipeline(**_: object) -> Pipeline:
    """backbone, heads, simulated clips -> appearance_control_models (as sft_models), _history, _validation.

    Its parameters are stage 2's own, so that the two cannot drift apart.
    """
    return Pipeline(
        [
            Node(
                cache_latents,
                inputs=["backbone", "simulated_clips_train", "simulated_clips_train_quality", "params:world_model"],
                outputs="appearance_control_latents",
                name="cache_control_latents_node",
                tags=["appearance_control", "gpu"],
            ),
            Node(
                cache_latents,
                inputs=[
                    "backbone",
                    "simulated_clips_validation",
                    "simulated_clips_validation_quality",
                    "params:world_model",
                ],
                outputs="appearance_control_validation_latents",
                name="cache_control_validation_latents_node",
                tags=["appearance_control", "gpu"],
            ),
            Node(
                nodes.train_control,
                inputs={
                    "backbone": "backbone",
                    "heads": "heads",
                    "clips": "simulated_clips_train",
                    "validation": "simulated_clips_validation",
                    "latents": "appearance_control_latents",
                    "validation_latents": "appearance_control_validation_latents",
                    "parameters": "params:sft",
                    "loading": "params:world_model",
                },
                outputs=["appearance_control_models", "appearance_control_history", "appearance_control_validation"],
                name="train_appearance_adapter_node",
                tags=["appearance_control", "gpu"],
            ),
        ]
    )
