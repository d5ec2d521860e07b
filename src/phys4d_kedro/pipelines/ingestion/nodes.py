"""Nodes of ingestion: video files and frame folders -> clips."""

from typing import Any

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.ingestion.config import IngestionConfig


def collect_clips(parameters: IngestionConfig) -> tuple[ClipSource, dict[str, Any]]:
    """Check every file that the sources name, then cut clips out of those that can be used."""
    from phys4d_kedro.ingestion import collect

    return collect.collect_clips(parameters)
