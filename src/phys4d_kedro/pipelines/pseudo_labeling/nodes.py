"""Nodes of pseudo-labelling: videos -> clips with estimated depth and motion."""

from typing import Any

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.perception.config import PseudoLabelConfig


def label_clips(
    simulated: ClipStore,
    simulated_quality: dict[str, Any],
    real: ClipStore,
    real_quality: dict[str, Any],
    parameters: PseudoLabelConfig,
) -> ClipSource:
    """Label simulated and real videos alike, from their RGB alone; the reports stand for their passed validation."""
    from phys4d_kedro.perception.pseudo_labels import pseudo_label_source

    return pseudo_label_source([simulated, real], parameters)
