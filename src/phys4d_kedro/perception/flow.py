"""Optical flow behind one protocol, and what a clip's flow says about visibility and its own reliability.

Flow is forward: flow[i, j] = (dx, dy), in pixels, x right and y down, leads the point seen in frame a at the pixel
in row i and column j to its place in frame b.
"""

import pickle
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.geometry.flow import occlusion, resize_motion, warp
from phys4d_kedro.perception.config import FlowConfig

# RAFT correlates features at an eighth of the size over four octaves: torchvision refuses anything smaller.
_RAFT_MINIMUM = 128


class FlowEstimator(Protocol):
    """Anything that estimates optical flow between two frames."""

    def predict(self, frame_a: NDArray[np.uint8], frame_b: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Flow (H, W, 2) from frame_a to frame_b, both (H, W, 3) sRGB, in pixels."""
        ...


class DisFlow:
    """Dense inverse search (Kroeger et al. 2016) in OpenCV, tuned for accuracy: no weights, no training, CPU.

    The medium preset computes at half the size with patches three pixels apart; here at full size, two pixels apart,
    with twice the variational refinement. benchmarks/estimators.py measures both.
    """

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._dis.setFinestScale(0)
        self._dis.setPatchStride(2)
        self._dis.setVariationalRefinementIterations(10)

    def predict(self, frame_a: NDArray[np.uint8], frame_b: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `FlowEstimator.predict`."""
        grey_a, grey_b = (self._cv2.cvtColor(f, self._cv2.COLOR_RGB2GRAY) for f in (frame_a, frame_b))
        return cast(NDArray[np.float32], self._dis.calc(grey_a, grey_b, None))


class RaftFlow:
    """RAFT (Teed and Deng 2020): `network` maps two images (1, 3, H, W) in [-1, 1] to a list of ever finer flows.

    Frames are enlarged to at least 128 pixels a side and to multiples of 8, as the network needs; the flow comes
    back at the frames' size, in their pixels.
    """

    def __init__(self, network: torch.nn.Module, device: torch.device) -> None:
        self._network = network.to(device).eval()
        self._device = device

    @torch.inference_mode()
    def predict(self, frame_a: NDArray[np.uint8], frame_b: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `FlowEstimator.predict`."""
        height, width = frame_a.shape[:2]
        size = (max(_RAFT_MINIMUM, -(-height // 8) * 8), max(_RAFT_MINIMUM, -(-width // 8) * 8))
        flow = self._network(self._image(frame_a, size), self._image(frame_b, size))[-1]
        resized = resize_motion(flow, (height, width))[0]
        return np.ascontiguousarray(resized.permute(1, 2, 0).float().cpu().numpy())

    def _image(self, frame: NDArray[np.uint8], size: tuple[int, int]) -> torch.Tensor:
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(self._device).permute(2, 0, 1)[None] / 127.5 - 1
        return torch.nn.functional.interpolate(image, size=size, mode="bilinear", align_corners=False)


def load_flow_estimator(config: FlowConfig) -> FlowEstimator:
    """The estimator that the configuration names.

    Raises:
        ConfigurationError: RAFT is asked for without torchvision, or its weights do not fit.
    """
    if config.estimator == "dis":
        return DisFlow()
    return RaftFlow(_load_raft(config), resolve_device(config.device))


def _load_raft(config: FlowConfig) -> torch.nn.Module:
    try:
        from torchvision.models import optical_flow
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch build raises RuntimeError
        raise ConfigurationError(
            f"flow estimator '{config.estimator}' needs torchvision, which does not import here ({error}); install the "
            "extra `phys4d-kedro[raft]` beside a GPU build of torch, or set flow.estimator to 'dis'"
        ) from error
    build: Any = getattr(optical_flow, config.estimator)
    try:
        if config.weights is None:
            return cast(torch.nn.Module, build(weights="DEFAULT"))
        network: torch.nn.Module = build(weights=None)
        network.load_state_dict(torch.load(config.weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        wanted = f"'{config.weights}'" if config.weights else "none, and torchvision's own cannot be fetched"
        raise ConfigurationError(
            f"flow.weights: {wanted}; a file with a state dict of {config.estimator} is needed: {error}"
        ) from error
    return network


def resolve_device(name: str) -> torch.device:
    """The torch device of a parameter `device`; `auto` is a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@dataclass(frozen=True)
class ClipFlow:
    """Flow between neighbouring frames of a clip, both ways (T-1 pairs; pair t joins the frames t and t+1).

    | field | shape | meaning |
    |---|---|---|
    | forward | T-1,2,H,W | from frame t to t+1, at the pixels of t |
    | backward | T-1,2,H,W | from frame t+1 to t, at the pixels of t+1 |
    | forward_valid | T-1,H,W | the point at pixel p of frame t is visible in t+1 |
    | backward_valid | T-1,H,W | the point at pixel p of frame t+1 is visible in t |
    | confidence | T-1,H,W | of `forward`, in [0, 1] |
    """

    forward: torch.Tensor
    backward: torch.Tensor
    forward_valid: torch.Tensor
    backward_valid: torch.Tensor
    confidence: torch.Tensor


def estimate_clip_flow(rgb: NDArray[np.uint8], estimator: FlowEstimator, config: FlowConfig) -> ClipFlow:
    """Forward and backward flow of all neighbouring frames of rgb (T, H, W, 3), T > 1, with visibility and confidence.

    Confidence is 1 / (1 + (e / scale)^2) with e = |f(p) + b(p + f(p))|, the distance by which following the flow there
    and back misses the pixel it started from.
    """
    forward = _stack([estimator.predict(a, b) for a, b in pairwise(rgb)])
    backward = _stack([estimator.predict(b, a) for a, b in pairwise(rgb)])
    tolerance = {"relative": config.occlusion_relative, "absolute": config.occlusion_absolute}
    mismatch = (forward + warp(backward, forward)[0]).square().sum(1)
    return ClipFlow(
        forward=forward,
        backward=backward,
        forward_valid=occlusion(forward, backward, **tolerance),
        backward_valid=occlusion(backward, forward, **tolerance),
        confidence=1 / (1 + mismatch / config.confidence_scale**2),
    )


def _stack(flows: list[NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous()
