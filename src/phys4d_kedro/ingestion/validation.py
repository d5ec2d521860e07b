"""What must hold of video files before clips are made of them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from phys4d_kedro.clips.expectations import Suite, check
from phys4d_kedro.ingestion.config import VideoExpectations
from phys4d_kedro.ingestion.videos import VideoFacts

_COLUMNS = ("container", "codec", "height", "width", "fps", "frames", "seconds")


def validate_videos(videos: Mapping[str, VideoFacts | None], expectations: VideoExpectations) -> dict[str, Any]:
    """Check what is known of video files, by their names; None where a file cannot be read.

    Returns:
        JSON-able: `videos` (a row a file that can be read: video, container, codec, height, width, fps, frames,
        seconds) and `checks` (see `expectations.check`); both are empty where there is no video.

    Raises:
        DataQualityError: names the videos and what is wrong with them.
    """
    if not videos:
        return {"videos": [], "checks": []}
    table = pd.DataFrame([_row(name, facts) for name, facts in videos.items()])
    checks = check(Suite("raw_videos", "videos", "video", table, _expected(expectations)))
    readable = table[table["readable"]].drop(columns="readable")
    return {"videos": readable.to_dict("records"), "checks": checks}


def _row(name: str, facts: VideoFacts | None) -> dict[str, Any]:
    if facts is None:
        return {"video": name, "readable": False, **dict.fromkeys(_COLUMNS)}
    # Seconds that frames are shown for, the last one too.
    seconds = float(facts.last - facts.first) + (1 / facts.fps if facts.fps else 0)
    values = (facts.container, facts.codec, facts.height, facts.width, facts.fps, facts.frames, seconds)
    return {"video": name, "readable": True, **dict(zip(_COLUMNS, values, strict=True))}


def _expected(e: VideoExpectations) -> list[Any]:
    import great_expectations.expectations as gxe

    between = gxe.ExpectColumnValuesToBeBetween
    suite = [
        gxe.ExpectColumnValuesToBeInSet(column="readable", value_set=[True], mostly=e.min_readable_share),
        between(column="height", min_value=e.min_height),
        between(column="width", min_value=e.min_width),
        between(column="fps", min_value=e.min_fps, max_value=e.max_fps),
        between(column="seconds", min_value=e.min_seconds, max_value=e.max_seconds),
    ]
    if e.containers:
        # FFmpeg gives a family of formats one name: mov,mp4,m4a,3gp,3g2,mj2.
        listed = "|".join(e.containers)
        suite.append(gxe.ExpectColumnValuesToMatchRegex(column="container", regex=rf"(?:^|,)(?:{listed})(?:,|$)"))
    return suite
