"""The backbone pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.backbone import nodes

_CLIPS = ["simulated_clips_train", "real_clips"]


def create_pipeline(**_: object) -> Pipeline:
    """simulated_clips_train, real_clips -> backbone (a diffusers folder), autoencoder_history, transformer_history."""
    return Pipeline(
        [
            Node(
                nodes.start_backbone,
                inputs=[*_CLIPS, "params:backbone"],
                outputs="backbone_start",
                name="start_backbone_node",
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
        ]
    )
