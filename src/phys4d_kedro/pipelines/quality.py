"""The quality gates: nodes that stop a run, with what fails named, before anything is made of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from kedro.pipeline import Node

from phys4d_kedro.clips.config import ClipExpectations
from phys4d_kedro.clips.store import ClipStore

Function = TypeVar("Function", bound=Callable[..., Any])


def gate(function: Function) -> Function:
    """Mark the function of a node as one that checks suites; the data docs call it to show them."""
    function.__dict__["is_quality_gate"] = True
    return function


def is_gate(function: Callable[..., Any]) -> bool:
    """Whether the function of a node checks suites."""
    return getattr(function, "is_quality_gate", False)


@gate
def validate_clips(clips: ClipStore, expectations: ClipExpectations) -> dict[str, Any]:
    """Check a set of clips; stops the run with the failing clips named."""
    from phys4d_kedro.clips import validation

    return validation.validate_clips(clips, expectations)


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
