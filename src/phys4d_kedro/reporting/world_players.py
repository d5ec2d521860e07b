"""Players of the truth and of the worlds of all stages, side by side."""

from collections.abc import Iterator, Mapping

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison_clips import reference_of, worlds_beside
from phys4d_kedro.reporting.player import Player, describe_colors
from phys4d_kedro.reporting.stages import ROW_LABELS
from phys4d_kedro.reporting.video import Scales, colored_panels

_WORDS = {"rgb": "RGB", "depth": "depth", "motion": "motion"}


def world_player(truth: Clip, worlds: Mapping[str, Clip]) -> Player:
    """The truth beside the world of each stage, RGB over depth over motion, in the colours of the truth.

    The last frame has no motion and is left out.

    Raises:
        MissingAnnotationError: a clip lacks depth or motion.
    """
    truth.require("depth", "motion")
    scales = Scales(truth)
    assert scales.depth is not None
    assert scales.motion is not None
    groups = {}
    for label, clip in {"truth": truth, **{ROW_LABELS[stage]: world for stage, world in worlds.items()}}.items():
        clip.require("depth", "motion")
        panels = colored_panels(clip, scales)
        groups[label] = {_WORDS[name]: panels[name][: truth.frames - 1] for name in _WORDS}
    return Player(
        clip_id=truth.clip_id,
        scene=truth.scene,
        prompt=truth.prompt,
        fps=truth.fps,
        groups=groups,
        note=describe_colors(scales.depth, scales.motion),
    )


def world_players(worlds: ClipStore, truths: ClipStore, count: int) -> Iterator[Player]:
    """The first `count` true clips that worlds were generated from, with those of each stage's first training."""
    references = list(dict.fromkeys(map(reference_of, worlds.ids)))[:count]
    for truth, beside in worlds_beside(truths.subset(references), worlds):
        yield world_player(truth, beside)
