"""The recording of what was generated, apart from generation: it needs the extra `rerun`."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.generation.nodes import record_generated_clip


def create_pipeline(**_: object) -> Pipeline:
    """generated_clips, simulated_clips_heldout -> generated_recording, a file that Rerun plays."""
    return Pipeline(
        [
            Node(
                record_generated_clip,
                inputs=["generated_clips", "simulated_clips_heldout"],
                outputs="generated_recording",
                name="record_generated_clip_node",
                tags=["generation_recording", "cpu"],
            )
        ]
    )
