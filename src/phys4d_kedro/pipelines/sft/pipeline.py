"""The sft pipeline (stage 2)."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.latents import cache_latents
from phys4d_kedro.pipelines.sft import nodes


def create_pipeline(**_: object) -> Pipeline:
    """backbone, heads, simulated clips -> sft_models (seed_<n>/{depth,motion,lora}), sft_history, sft_validation."""
    return Pipeline(
        [
            Node(
                cache_latents,
                inputs=["backbone", "simulated_clips_train", "simulated_clips_train_quality", "params:world_model"],
                outputs="sft_latents",
                name="cache_sft_latents_node",
                tags=["sft", "gpu"],
            ),
            Node(
                cache_latents,
                inputs=[
                    "backbone",
                    "simulated_clips_validation",
                    "simulated_clips_validation_quality",
                    "params:world_model",
                ],
                outputs="sft_validation_latents",
                name="cache_sft_validation_latents_node",
                tags=["sft", "gpu"],
            ),
            Node(
                nodes.train_sft,
                inputs={
                    "backbone": "backbone",
                    "heads": "heads",
                    "clips": "simulated_clips_train",
                    "validation": "simulated_clips_validation",
                    "latents": "sft_latents",
                    "validation_latents": "sft_validation_latents",
                    "parameters": "params:sft",
                    "loading": "params:world_model",
                },
                outputs=["sft_models", "sft_history", "sft_validation"],
                name="finetune_adapter_and_heads_node",
                tags=["sft", "gpu"],
            ),
        ]
    )
