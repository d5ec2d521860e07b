"""The gallery pipeline."""

from kedro.pipeline import Node, Pipeline

from phys4d_kedro.pipelines.gallery import nodes

_TAGS = ["gallery", "cpu"]


def create_pipeline(**_: object) -> Pipeline:
    """Parameters alone -> gallery_clips, sheets of them, an overview, and distributions of the scenes' attributes."""
    return Pipeline(
        [
            Node(
                nodes.make_gallery_clips,
                inputs=["params:simulation", "params:gallery"],
                outputs="gallery_clips",
                name="make_gallery_clips_node",
                tags=_TAGS,
            ),
            Node(
                nodes.draw_gallery_sheets,
                inputs=["gallery_clips", "params:gallery"],
                outputs="gallery_sheets",
                name="draw_gallery_sheets_node",
                tags=_TAGS,
            ),
            Node(
                nodes.draw_gallery_overview,
                inputs=["gallery_clips", "params:gallery"],
                outputs=["gallery_overview", "gallery_overview_figure"],
                name="draw_gallery_overview_node",
                tags=_TAGS,
            ),
            Node(
                nodes.draw_attribute_distributions,
                inputs=["params:simulation", "params:gallery"],
                outputs="gallery_distributions",
                name="draw_attribute_distributions_node",
                tags=_TAGS,
            ),
        ]
    )
