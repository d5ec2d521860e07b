"""Pseudo-labels: a clip's depth and motion as off-the-shelf estimators see them, from its RGB alone."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.source import ClipSource
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import InvalidClipError
from phys4d_kedro.geometry.flow import warp
from phys4d_kedro.perception.config import DepthConfig, PseudoLabelConfig
from phys4d_kedro.perception.consistency import make_consistent
from phys4d_kedro.perception.depth import (
    DepthEstimator,
    DepthKind,
    find_depth_model,
    hash_model,
    inverse_to_depth,
    load_depth_estimator,
)
from phys4d_kedro.perception.flow import ClipFlow, FlowEstimator, estimate_clip_flow, load_flow_estimator

# Metric estimators that say 0 mean "very near"; a clip's depth is positive.
_LEAST_DEPTH = 1e-3


@dataclass(frozen=True)
class Estimators:
    """What labels a clip."""

    depth: DepthEstimator
    flow: FlowEstimator


@lru_cache(maxsize=1)
def load_estimators(config: PseudoLabelConfig) -> Estimators:
    """The estimators of a configuration, loaded once in each process. Raises ConfigurationError, CheckpointError."""
    return Estimators(depth=load_depth_estimator(config.depth), flow=load_flow_estimator(config.flow))


def label_clip(clip: Clip, config: PseudoLabelConfig, estimators: Estimators) -> Clip:
    """The clip with estimated depth and motion in place of any annotation it had; RGB, camera and metadata stay.

    Depth is made consistent over the clip (`consistency`); dz of motion is its difference between the two ends of the
    flow. Where relative depth was scaled to metres by convention, `parameters["pseudo_labels"]` says so.

    Raises:
        InvalidClipError: the clip has a single frame, or the depth model's output is not finite.
    """
    if clip.frames < 2:
        raise InvalidClipError(f"clip '{clip.clip_id}' has a single frame; motion needs at least 5")
    flow = estimate_clip_flow(clip.rgb, estimators.flow, config.flow)
    depth, confidence, facts = _label_depth(clip, flow, config, estimators.depth)
    motion, motion_valid = _complete_motion(flow, depth)
    if config.depth.farthest is not None:
        sky = depth > config.depth.farthest
        depth, confidence = np.where(sky, np.inf, depth).astype(np.float32), np.where(sky, 0, confidence)
        motion, motion_valid = np.where(sky[:-1, ..., None], 0, motion), motion_valid & ~sky[:-1]
    return Clip(
        clip_id=clip.clip_id,
        rgb=clip.rgb,
        fps=clip.fps,
        source="pseudo",
        depth=depth,
        depth_confidence=confidence,
        motion=motion,
        motion_valid=motion_valid,
        motion_confidence=np.where(motion_valid, flow.confidence.numpy(), 0).astype(np.float32),
        intrinsics=clip.intrinsics,
        world_from_camera=clip.world_from_camera,
        prompt=clip.prompt,
        category=clip.category,
        scene=clip.scene,
        seed=clip.seed,
        parameters=clip.parameters
        | {"pseudo_labels": {"video": clip.source, "flow": config.flow.estimator, "depth": facts}},
    )


def pseudo_label_source(stores: Sequence[ClipStore], config: PseudoLabelConfig) -> ClipSource:
    """All clips of the stores, to be labelled. Its fingerprint covers their content, the parameters and the weights.

    Raises:
        ConfigurationError, CheckpointError: an estimator cannot be loaded; found out here, before the first clip.
    """
    load_estimators(config)
    inputs = {
        "clips": [store.fingerprint for store in stores],
        "config": config.model_dump(exclude={"quality"}),
        "depth_model": hash_model(find_depth_model(config.depth)),
        "flow_weights": _hash_file(config.flow.weights) if config.flow.weights else None,
    }
    return ClipSource(
        count=sum(len(store) for store in stores),
        fingerprint=hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest(),
        make=_LabelClip(tuple(stores), config),
        description="pseudo-labels",
    )


@dataclass(frozen=True)
class _LabelClip:
    """Labels clip i of the concatenated stores."""

    stores: tuple[ClipStore, ...]
    config: PseudoLabelConfig

    def __call__(self, index: int) -> Clip:
        for store in self.stores:
            if index < len(store):
                return label_clip(store[index], self.config, load_estimators(self.config))
            index -= len(store)
        raise IndexError(f"{index} clips beyond the last")


def _label_depth(
    clip: Clip, flow: ClipFlow, config: PseudoLabelConfig, estimator: DepthEstimator
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """Depth and its confidence, (T, H, W), and how they came about."""
    predicted = estimator.predict(clip.rgb)
    if not np.isfinite(predicted).all():
        raise InvalidClipError(
            f"clip '{clip.clip_id}': depth model '{config.depth.model}' predicts values that are not finite, first at "
            f"(t, row, column) = {tuple(int(i) for i in np.argwhere(~np.isfinite(predicted))[0])}"
        )
    kind = estimator.kind
    values = np.log(np.maximum(predicted, _LEAST_DEPTH)) if kind == "metric" else predicted
    values, disagreement = make_consistent(values, flow, kind, config.consistency)
    depth, disagreement, convention = _to_depth(values, disagreement, kind, config.depth)
    agreement = 1 / (1 + (disagreement / config.consistency.confidence_scale) ** 2)
    confidence = np.where(np.isnan(agreement), config.consistency.unverified_confidence, agreement)
    facts = {"model": config.depth.model, "kind": kind, **convention}
    return depth, confidence.astype(np.float32), facts


def _to_depth(
    values: NDArray[np.float32], disagreement: NDArray[np.float32], kind: DepthKind, config: DepthConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, Any]]:
    """Depth in metres, disagreement in log depth, and the convention that made metres of relative values."""
    if kind == "metric":
        return np.exp(values), disagreement, {"scale": "metric, from the model"}
    depth, coefficients = inverse_to_depth(values, config)
    # d log z = -z d(1/z), and 1/z = gain v + offset.
    in_log = disagreement * abs(coefficients["gain"]) * depth
    convention = {"scale": f"by convention: median of the clip at {config.median_depth} m", **coefficients}
    return depth, in_log.astype(np.float32), convention


def _complete_motion(flow: ClipFlow, depth: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Motion (T-1, H, W, 3) = flow and `dz = D[t+1](p + flow) - D[t](p)`, and where it is valid. dz is 0 elsewhere.

    D[t+1] is interpolated in inverse depth, which is linear over every plane.
    """
    inverse, inside = warp(torch.from_numpy(1 / depth[1:, None]), flow.forward)
    valid = flow.forward_valid & inside
    dz = torch.where(valid, 1 / inverse[:, 0] - torch.from_numpy(depth[:-1]), 0.0)
    motion = torch.cat([flow.forward, dz[:, None]], 1).permute(0, 2, 3, 1)
    return np.ascontiguousarray(motion.numpy()), valid.numpy()


def _hash_file(path: str) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
