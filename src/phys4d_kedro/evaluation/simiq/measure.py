"""Videos measured as Physics-IQ measures them, from arrays in memory; docs/simiq.md.

Letters: T frames, H rows, W columns.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.evaluation.comparison_clips import reference_of
from phys4d_kedro.evaluation.physics_iq.layout import PERSPECTIVES
from phys4d_kedro.evaluation.physics_iq.masks import Mask, PlainMasks
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison, MaskOverlap, frame_mse
from phys4d_kedro.evaluation.physics_iq.videos import Image
from phys4d_kedro.evaluation.simiq import STILL, TAKES
from phys4d_kedro.evaluation.simiq.frozen import first_takes, second_take
from phys4d_kedro.evaluation.video_metrics import copy_first_frame

_QUARTER = 4
FIELDS = ("mse", "spatiotemporal_iou", "spatial_iou", "weighted_spatial_iou", "moves", "other_moves")
COLUMNS = ("method", "seed", "sample", "clip_id", "scenario", "perspective", "scene", "category", *FIELDS)


@dataclass(frozen=True)
class Footage:
    """What is compared of a video: small frames and where they move, T each."""

    images: list[Image]
    masks: list[Mask]


def prepare_footage(rgb: NDArray[np.uint8], *, least_side: int) -> Footage:
    """Frames (T, H, W, 3), enlarged pixel for pixel by the least whole factor that makes H and W `least_side` or more.

    The rules' blur, opening and closing span 5 pixels: at 64 of them they would wipe out whole objects. Enlarged, they
    stay finer than a pixel of the model. Frames and masks are then scaled to a quarter, as the rules have it.
    """
    import cv2

    height, width = rgb.shape[1:3]
    factor = -(-least_side // min(height, width))
    size = width * factor // _QUARTER, height * factor // _QUARTER
    motion, footage = PlainMasks(size), Footage([], [])
    for frame in rgb:
        large = np.ascontiguousarray(frame[..., ::-1].repeat(factor, 0).repeat(factor, 1))
        footage.images.append(cv2.resize(large, size))
        footage.masks.append(motion(large))
    return footage


def compare_footage(footage: Footage, truth: Footage) -> Comparison:
    """A video against another of as many frames."""
    overlap = MaskOverlap()
    for mask, other in zip(footage.masks, truth.masks, strict=True):
        overlap.add(mask, other)
    pairs = zip(footage.images, truth.images, strict=True)
    return overlap.finish([frame_mse(image, other) for image, other in pairs])


def measure_worlds(worlds: ClipStore, clips: ClipStore, *, least_side: int) -> pd.DataFrame:
    """Every generated world, the second take, and the first frame standing still, against the first take.

    A row a method (a stage, or TAKES or STILL, without seed and sample), training seed, sample and view. The columns
    of FIELDS are a `Comparison`: `mse` and `spatiotemporal_iou` a list of the frames', the others of the whole.

    Args:
        worlds: what `comparison_source` generates from the first takes.
        clips: both takes of every view.
    """
    by_reference: dict[str, list[str]] = {}
    for name in worlds.ids:
        by_reference.setdefault(reference_of(name), []).append(name)
    rows: list[tuple[Any, ...]] = []
    firsts = first_takes(clips)
    for clip in tqdm(firsts, desc="Scoring SimIQ", unit="view", total=len(firsts)):
        truth = prepare_footage(clip.rgb, least_side=least_side)
        others = [
            ((TAKES, None, None), clips.read(second_take(clip.clip_id), keys=[]).rgb),
            ((STILL, None, None), copy_first_frame(clip.rgb)),
        ]
        for name in by_reference.get(clip.clip_id, []):
            world = worlds.read(name, keys=[])
            facts = world.parameters
            others.append(((facts["stage"], facts["training_seed"], facts["sample"]), world.rgb))
        for who, rgb in others:
            found = compare_footage(prepare_footage(rgb, least_side=least_side), truth)
            rows.append((*who, *_about(clip), *(asdict(found)[field] for field in FIELDS)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": "Int64", "sample": "Int64"})


def _about(clip: Clip) -> tuple[str, ...]:
    facts = clip.parameters
    return clip.clip_id, facts["simulation"], PERSPECTIVES[facts["view"]], clip.scene, clip.category
