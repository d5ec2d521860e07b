"""What is asked of a clip up to growing times."""

from dataclasses import replace

import numpy as np

from phys4d_kedro.evaluation.worlds import WorldReference


def horizon_frames(frames: int, count: int) -> list[int]:
    """At most `count` frames of a clip, evenly spread, the last one among them, the first one not."""
    return sorted({int(t) for t in np.linspace(0, frames - 1, count + 1).round()[1:] if t > 0})


def up_to(reference: WorldReference, frame: int) -> WorldReference:
    """The reference that judges a world by its frames until this one, with the limits of the whole."""
    shortened = [
        replace(item, tracks=replace(item.tracks, points=item.tracks.points[: frame + 1])) for item in reference.objects
    ]
    return replace(reference, objects=tuple(shortened))
