"""The rl pipeline (stage 3)."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.rl import nodes


def create_pipeline(**_: object) -> Pipeline:
    """backbone, sft_models, simulated clips and their latents -> rl_models, rl_history, rl_validation."""
    return Pipeline(
        [
            Node(
                nodes.train_policy,
                inputs={
                    "backbone": "backbone",
                    "models": "sft_models",
                    "clips": "simulated_clips_train",
                    "validation": "simulated_clips_validation",
                    "latents": "sft_latents",
                    "validation_latents": "sft_validation_latents",
                    "parameters": "params:rl",
                    "labels": "params:pseudo_labeling",
                    "loading": "params:world_model",
                },
                outputs=["rl_models", "rl_history", "rl_validation"],
                name="reinforce_sampler_by_rewards_node",
                tags=["rl", "gpu"],
            ),
        ]
    )
