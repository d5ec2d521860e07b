"""What is to be said of videos that were measured, beside their figures."""

import numpy as np

from phys4d_kedro.evaluation.physics_iq.layout import FPS
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison
from phys4d_kedro.evaluation.physics_iq.problems import Problem
from phys4d_kedro.evaluation.physics_iq.takes import Rules, Takes
from phys4d_kedro.evaluation.physics_iq.videos import VideoInfo

_ASPECT = 0.01  # by which the shapes of two videos may differ and be called the same
_STILL = "nothing moves in it: its masks are empty"


def judge_video(info: VideoInfo, generated: Comparison, limit: int, takes: Takes, rules: Rules) -> list[Problem]:
    """Problems of a generated video, of which `limit` frames were wanted; it is left out if one of them says so."""
    notes = _length(info, generated, limit, takes, rules)
    name = info.path.name
    if info.stated_fps != FPS:
        against = f"the data set's takes at {info.fps:g} FPS"
        if not takes.native:
            against = f"takes blended from {FPS} FPS to its rate, without the official evaluator's H.264 step"
        notes.append(Problem("frame_rate", name, "scored", f"{info.stated_fps:g} FPS; compared with {against}"))
    notes += _size(info)
    real = takes.sources[0].info
    if abs(info.width * real.height / (info.height * real.width) - 1) > _ASPECT:
        message = f"{info.width}x{info.height} is stretched to the shape of {real.width}x{real.height}"
        notes.append(Problem("size", name, "scored", message))
    if not generated.moves:
        notes.append(Problem("no_motion", name, "scored", _STILL))
    return notes


def judge_takes(takes: Takes, variance: Comparison) -> list[Problem]:
    """Problems of the real videos of a view."""
    notes: list[Problem] = []
    infos = [source.info for source in takes.sources]
    for info, moves in zip(infos, (variance.other_moves, variance.moves), strict=True):
        notes += _size(info)
        if not moves:
            notes.append(Problem("no_motion", info.path.name, "scored", _STILL))
    expected = min(source.length for source in takes.sources)
    if variance.frames < expected:
        message = f"only {variance.frames} of {expected} frames of both takes decode; only these are compared"
        notes.append(Problem("short", infos[0].path.name, "scored", message))
    values = {
        "mse": float(np.mean(variance.mse)),
        "spatiotemporal_iou": float(np.mean(variance.spatiotemporal_iou)),
        "spatial_iou": variance.spatial_iou,
        "weighted_spatial_iou": variance.weighted_spatial_iou,
    }
    if zero := [metric for metric, value in values.items() if value == 0]:
        message = f"take 1 against take 2 is 0 in {', '.join(zero)}, which the scores divide by"
        notes.append(Problem("zero_variance", infos[0].path.name, "scored", message))
    return notes


def _length(info: VideoInfo, generated: Comparison, limit: int, takes: Takes, rules: Rules) -> list[Problem]:
    expected = min(limit, info.frames, takes.sources[0].length)
    if info.frames >= limit and generated.frames >= expected:
        return []
    message = f"{info.frames} frames, {info.frames / info.fps:.2f} s"
    if generated.frames < expected:
        message += f", of which {generated.frames} decode"
    message += f"; {limit} are {rules.seconds:g} s"
    if generated.frames < rules.shortest * limit:
        return [Problem("short", info.path.name, "left out", f"{message}, and {rules.shortest:.0%} are required")]
    return [Problem("short", info.path.name, "scored", f"{message}; only what there is is compared")]


def _size(info: VideoInfo) -> list[Problem]:
    if not (info.height % 2 or info.width % 2):
        return []
    message = f"{info.width}x{info.height} is odd; its masks lose the last row or column, as in the official evaluator"
    return [Problem("size", info.path.name, "scored", message)]
