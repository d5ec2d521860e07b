"""The backbone pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.backbone import nodes
from phys4d_kedro.pipelines.generation.nodes import draw_samples
from phys4d_kedro.pipelines.latents import cache_latents

_CLIPS = ["simulated_clips_train", "real_clips"]


def create_pipeline(**_: object) -> Pipeline:
    """Clips -> backbone (a diffusers folder) and its loss curves; then what it is worth on clips it has not seen."""
    return Pipeline(
        [
            Node(
                nodes.start_backbone,
                inputs=[*_CLIPS, "params:backbone"],
                outputs="backbone_start",
                name="initialise_backbone_node",
                tags=["backbone", "cpu"],
            ),
            Node(
                nodes.train_autoencoder,
                inputs=["backbone_start", *_CLIPS, "params:backbone"],
                outputs=["backbone_with_autoencoder", "autoencoder_history"],
                name="train_autoencoder_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                nodes.cache_latents,
                inputs=["backbone_with_autoencoder", *_CLIPS, "params:world_model"],
                outputs="backbone_latents",
                name="cache_backbone_latents_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                nodes.train_transformer,
                inputs={
                    "start": "backbone_with_autoencoder",
                    "simulated": "simulated_clips_train",
                    "real": "real_clips",
                    "latents": "backbone_latents",
                    "parameters": "params:backbone",
                    "loading": "params:world_model",
                },
                outputs=["backbone", "transformer_history"],
                name="train_transformer_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                cache_latents,
                inputs=[
                    "backbone",
                    "simulated_clips_validation",
                    "simulated_clips_validation_quality",
                    "params:world_model",
                ],
                outputs="validation_latents",
                name="cache_validation_latents_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                nodes.measure_denoising_loss,
                inputs=[
                    "backbone",
                    "simulated_clips_validation",
                    "validation_latents",
                    "params:backbone",
                    "params:world_model",
                ],
                outputs="denoising_losses",
                name="measure_denoising_loss_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                nodes.generate_heldout_clips,
                inputs=["backbone", "simulated_clips_heldout", "params:backbone", "params:world_model"],
                outputs="backbone_clips",
                name="generate_heldout_clips_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                nodes.judge_backbone,
                inputs={
                    "backbone": "backbone",
                    "losses": "denoising_losses",
                    "generated": "backbone_clips",
                    "heldout": "simulated_clips_heldout",
                    "parameters": "params:backbone",
                    "loading": "params:world_model",
                },
                outputs=["backbone_scores", "backbone_metrics"],
                name="judge_backbone_node",
                tags=["backbone", "gpu"],
            ),
            Node(
                draw_samples,
                inputs=["backbone_clips", "simulated_clips_heldout"],
                outputs="backbone_samples",
                name="draw_backbone_samples_node",
                tags=["backbone", "cpu"],
            ),
        ]
    )
