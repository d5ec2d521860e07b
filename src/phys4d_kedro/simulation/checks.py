"""What makes a configuration or a camera a bad draw."""

import numpy as np

from phys4d_kedro.simulation.bad_draws import BadDrawError
from phys4d_kedro.simulation.description import Description
from phys4d_kedro.simulation.rendering.renderer import RenderOutput
from phys4d_kedro.simulation.rollout import Rollout

# Shares of the first frame that show the things that can move: each of them, and all together.
_LEAST_EACH, _LEAST_TOGETHER = 0.0005, 0.005
_STILL = 0.03  # metres that what stands still may move
_LEAST_TRAVEL, _LEAST_TURN = 0.1, 0.3  # in radii of the scene, and in radians
_NEAREST = 0.1  # metres of depth: something nearer surrounds the camera


def check_motion(description: Description, rollout: Rollout) -> None:
    """Raise BadDrawError if nothing moves, or what should stand still does."""
    travel = rollout.travel()
    if description.at_rest and travel > _STILL:
        raise BadDrawError("what should stand still moves", f"by {travel:.2f} m")
    moves = travel >= _LEAST_TRAVEL * description.radius or rollout.turn() >= _LEAST_TURN
    if not description.at_rest and not moves:
        raise BadDrawError("nothing moves")


def check_view(description: Description, image: RenderOutput) -> None:
    """Raise BadDrawError if the camera is inside a thing, or misses at first what can move."""
    if image.depth.min() < _NEAREST:
        raise BadDrawError("the camera is inside a thing")
    names = description.instances
    seen = np.bincount(image.segmentation[0].ravel(), minlength=1 + len(names))[1 : 1 + len(names)]
    shown = {name: count for name, count in zip(names, seen, strict=True) if name not in description.late}
    pixels = image.depth[0].size
    hidden = [name for name, count in shown.items() if count < _LEAST_EACH * pixels]
    if hidden or (shown and sum(shown.values()) < _LEAST_TOGETHER * pixels):
        raise BadDrawError("the first frame shows too little", f"of {', '.join(hidden or shown)}")
