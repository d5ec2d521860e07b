"""The quality gate that every pipeline which makes clips ends in."""

from typing import Any

from kedro.pipeline import Node

from phys4d_kedro.clips.config import ClipExpectations
from phys4d_kedro.clips.store import ClipStore


def validate_clips(clips: ClipStore, expectations: ClipExpectations) -> dict[str, Any]:
    """Check the manifest of a set of clips; stops the run with the failing clips named."""
    from phys4d_kedro.clips.validation import validate_manifest

    return validate_manifest(clips.manifest, expectations)


def quality_node(clips: str, expectations: str, tags: list[str]) -> Node:
    """The node that validates the clips of a dataset into `<clips>_quality`, which the stages after it take.

    `clips` is the dataset's name, `expectations` the parameters' (as `params:ingestion.quality`).
    """
    return Node(
        validate_clips,
        inputs=[clips, expectations],
        outputs=f"{clips}_quality",
        name=f"validate_{clips}_node",
        tags=[*tags, "quality"],
    )
