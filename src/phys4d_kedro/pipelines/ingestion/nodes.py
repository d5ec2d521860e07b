"""Nodes of ingestion: video files and frame folders -> clips."""

from typing import Any

from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.ingestion.config import IngestionConfig
from phys4d_kedro.pipelines.quality import gate


@gate
def collect_clips(parameters: IngestionConfig) -> tuple[dict[str, Any], ClipSource]:
    """Check every file that the sources name, then cut clips out of those that can be used.

    The report comes first: it is saved before the clips are made.
    """
    from phys4d_kedro.ingestion import collect

    source, report = collect.collect_clips(parameters)
    return report, source
