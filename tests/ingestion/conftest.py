"""Video files and Isaac Sim folders, written for the tests."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from factories import AnalyticScene, Plane, Sphere, translation
from PIL import Image


def write_video(
    path: Path,
    images: np.ndarray,
    *,
    fps: Fraction | int = 24,
    codec: str = "libx264rgb",
    pixel_format: str = "rgb24",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    aspect: Fraction = Fraction(1),
) -> Path:
    """Encode images (T, H, W, 3), without loss unless the options say otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {"qp": "0", "g": "10"})
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.codec_context.sample_aspect_ratio = aspect
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def numbered(frames: int, height: int = 32, width: int = 48) -> np.ndarray:
    """Images that are told apart by their red level: frame k has 2 k (and blue noise that fills the file)."""
    rng = np.random.default_rng(0)
    images = np.zeros((frames, height, width, 3), np.uint8)
    images[..., 0] = 2 * np.arange(frames)[:, None, None]
    images[..., 2] = rng.integers(0, 255, (frames, height, width))
    return images


@pytest.fixture
def scene() -> AnalyticScene:
    """A sphere crosses before a wall while the camera drifts and approaches, 9 frames of 48x64."""
    time = np.arange(9)[:, None]
    wall = translation(np.tile([0.0, 0.0, 6.0], (9, 1)))
    sphere = translation(np.array([-0.8, 0.1, 3.5]) + time * np.array([0.06, -0.01, 0.04]))
    cameras = translation(time * np.array([0.02, -0.01, 0.05]))
    return AnalyticScene([Plane(wall), Sphere(sphere, 0.7)], cameras, 48, 64)


def reverse_motion(scene: AnalyticScene) -> np.ndarray:
    """Exact motion (T - 1, H, W, 3) from frame t + 1 back to frame t, at the pixels of frame t + 1."""
    reverse = AnalyticScene(
        [type(b)(b.poses[::-1], *([b.radius] if isinstance(b, Sphere) else [])) for b in scene.bodies],
        scene.cameras[::-1],
        scene.height,
        scene.width,
        scene.fov,
    )
    return reverse.annotate()["motion"][::-1]


WriteIsaac = Callable[..., Path]


def replicator_camera(scene: AnalyticScene, t: int) -> dict[str, Any]:
    """Camera file of a frame as Replicator writes it: USD axes, row vectors, focal length over aperture."""
    K = scene.intrinsics
    usd_from_opencv = np.diag([1.0, -1, -1, 1])
    view = usd_from_opencv @ np.linalg.inv(scene.cameras[t])
    near, far = 0.01, 1000.0
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 2 * K[0, 0] / scene.width, 2 * K[1, 1] / scene.height
    projection[2, 2:] = (far + near) / (near - far), -1
    projection[3, 2] = 2 * far * near / (near - far)
    return {
        "cameraModel": "pinhole",
        "cameraProjection": projection.ravel().tolist(),
        "cameraViewTransform": view.T.ravel().tolist(),
        "metersPerSceneUnit": 1.0,
        "renderProductResolution": [scene.width, scene.height],
    }


@pytest.fixture
def write_isaac(scene: AnalyticScene) -> WriteIsaac:
    def write(root: Path, *, motion: str = "replicator", place: str = "ball/env_0/0/1") -> Path:
        exact = scene.annotate()
        clip = scene.clip("x", np.random.default_rng(0))
        T, H, W = exact["depth"].shape
        x, y = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
        K = scene.intrinsics
        ray = np.sqrt(((x - K[0, 2]) / K[0, 0]) ** 2 + ((y - K[1, 2]) / K[1, 1]) ** 2 + 1)
        vectors = np.zeros((T, H, W, 4), np.float32)
        if motion == "replicator":
            vectors[1:, ..., :2] = reverse_motion(scene)[..., :2]
        else:
            vectors[:-1, ..., :3] = exact["motion"]
            vectors[:-1, ..., 3] = exact["motion_valid"]
        folder = root / place
        for name in ("rgb", "distance_to_camera", "motion_vectors", "camera_params"):
            (folder / name).mkdir(parents=True)
        for t in range(T):
            step = f"step_{t:04d}"
            Image.fromarray(clip.rgb[t]).save(folder / "rgb" / f"{step}.png")
            np.save(folder / "distance_to_camera" / f"{step}.npy", (exact["depth"][t] * ray).astype(np.float32))
            np.save(folder / "motion_vectors" / f"{step}.npy", vectors[t])
            (folder / "camera_params" / f"{step}.json").write_text(json.dumps(replicator_camera(scene, t)))
        return folder

    return write
