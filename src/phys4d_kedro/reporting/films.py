"""Films of the comparison: the truth above the worlds of all stages, a file a clip, each made when it is written."""

from collections.abc import Callable
from functools import partial

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison_clips import worlds_beside
from phys4d_kedro.reporting.stages import ROW_LABELS
from phys4d_kedro.reporting.video import comparison_video


def comparison_films(worlds: ClipStore, truths: ClipStore) -> dict[str, Callable[[], bytes]]:
    """MP4 files by the true clip's name: RGB, depth and motion, a row the truth and each stage's first training."""
    return {clip_id: partial(_film, worlds, truths, clip_id) for clip_id in truths.ids}


def _film(worlds: ClipStore, truths: ClipStore, clip_id: str) -> bytes:
    truth, beside = next(worlds_beside(truths.subset([clip_id]), worlds))
    return comparison_video({"truth": truth, **{ROW_LABELS[stage]: world for stage, world in beside.items()}})
