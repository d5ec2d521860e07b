"""The recording pipeline, apart from the gallery: it needs the extra `rerun`."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.recording.nodes import record_gallery_clip


def create_pipeline(**_: object) -> Pipeline:
    """gallery_clips -> gallery_recording, a file that Rerun plays."""
    return Pipeline(
        [
            Node(
                record_gallery_clip,
                inputs=["gallery_clips", "params:gallery"],
                outputs="gallery_recording",
                name="record_gallery_clip_node",
                tags=["recording", "cpu"],
            )
        ]
    )
