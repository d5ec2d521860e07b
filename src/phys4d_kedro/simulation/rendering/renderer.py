"""Render a scene: colour and exact annotations of every frame, on CPU or GPU."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.simulation.rendering import colouring, kernels, smoke_kernels
from phys4d_kedro.simulation.rendering.bands import list_bodies, render_frames
from phys4d_kedro.simulation.rendering.scene import RenderScene
from phys4d_kedro.simulation.rendering.stretches import part, stretches
from phys4d_kedro.simulation.rendering.upload import Uploaded, upload
from phys4d_kedro.simulation.rendering.upload_lights import sampling_tables
from phys4d_kedro.simulation.warp_start import start_warp


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderOutput:
    """Images of a scene; T frames, H rows, W columns, with the meaning they have in `Clip`.

    | field | shape | dtype | meaning |
    |---|---|---|---|
    | rgb | T,H,W,3 | uint8 | sRGB, anti-aliased |
    | depth | T,H,W | float32 | metres along the optical axis at the pixel's centre; inf where nothing is hit |
    | motion | T-1,H,W,3 | float32 | dx, dy in pixels, dz in metres, of the point at the pixel's centre; 0 where \
nothing is hit or the point passes behind the camera |
    | motion_valid | T-1,H,W | bool | that point is in frame at t+1 and nothing lies before it |
    | segmentation | T,H,W | uint16 | instance at the pixel's centre; 0 = background |

    Mirrors and glass have the depth, motion and instance of their own surface, not of what they show; but panes, whose
    refractive index is 1, so that they bend no light, are looked through. Where one volume
    absorbs more than half of the ray through the pixel's centre before it hits anything, the pixel is the volume's: its
    instance, the depth at which half is absorbed, the motion of the gas there, and never `motion_valid`. A surface's
    point is not valid either where a volume hides more than half of it at t + 1. Where a surface that is found anew in
    every frame has no counterpart within its slack, its motion is not valid.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    motion: NDArray[np.float32]
    motion_valid: NDArray[np.bool_]
    segmentation: NDArray[np.uint16]


def load_kernels(device: str = "cpu") -> None:
    """Compile the kernels, or load them from Warp's cache: worth a call before work is shared among processes."""
    start_warp()
    for module in (kernels, smoke_kernels, colouring.colour_surfaces.module, colouring.colour_paths.module):
        wp.load_module(module, device=device)


def render(
    scene: RenderScene,
    height: int,
    width: int,
    *,
    samples: int,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
) -> RenderOutput:
    """Render every frame of `scene`.

    `samples` is the number of rays that find the shares of the surfaces in a pixel on an edge, at most 32; inside a
    surface one ray is enough, since textures and shadows are filtered over the pixel. 1 turns anti-aliasing of edges
    off. `seed` decides the noise of soft shadows, pixel by pixel and alike in every frame. `threads` share the images
    on a CPU. The result depends on neither threads nor run.

    Raises:
        ConfigurationError: `samples` out of range.
    """
    if not 1 <= samples <= colouring.MOST_SAMPLES:
        raise ConfigurationError(f"samples {samples}: must lie in 1 .. {colouring.MOST_SAMPLES}")
    start_warp()
    T = scene.frames
    with wp.ScopedDevice(device):
        sampling = [samples, wp.uint32(seed & 0xFFFFFFFF), *sampling_tables(samples)]
        images = {
            "rgb": _image((T, height, width, 3), np.uint8),
            "depth": _image((T, height, width), np.float32),
            "motion": _image((T, height, width, 3), np.float32),
            "motion_valid": _image((T, height, width), np.bool_),
            "segmentation": _image((T, height, width), np.uint16),
        }
        for start, stop in stretches(scene):
            # With the frame after it, where the points of its last frame go.
            uploaded = upload(part(scene, start, min(stop + 1, T)), height, width)
            render_frames(
                uploaded, {key: image[start:] for key, image in images.items()}, sampling, stop - start, threads
            )
        out = {key: image.numpy() for key, image in images.items()}
        # The last frame has no next one.
        return RenderOutput(**{**out, "motion": out["motion"][:-1], "motion_valid": out["motion_valid"][:-1]})


def _image(shape: tuple[int, ...], dtype: type[np.generic]) -> Any:
    """Zeros on the current device. On a CPU NumPy takes the memory: in huge pages, which come several times as fast."""
    if wp.get_device().is_cpu:
        return wp.array(np.zeros(shape, dtype=dtype), dtype=wp.dtype_from_numpy(dtype), copy=False)
    return wp.zeros(shape, dtype=wp.dtype_from_numpy(dtype))


def visibility(
    scene: RenderScene, points: NDArray[np.floating[Any]], height: int, width: int, *, device: str = "cpu"
) -> NDArray[np.bool_]:
    """Whether material points, `points` (T, N, 3) in world coordinates, are in frame and not occluded: (T, N).

    Raises:
        ConfigurationError: `points` has another shape.
    """
    if points.ndim != 3 or points.shape[0] != scene.frames or points.shape[2] != 3:
        raise ConfigurationError(f"points {points.shape}: must be ({scene.frames}, N, 3)")
    start_warp()
    rotation = scene.camera.world_from_camera[:, :3, :3]
    seen = (points - scene.camera.world_from_camera[:, None, :3, 3]) @ rotation
    with wp.ScopedDevice(device):
        return np.concatenate(
            [
                _see(upload(part(scene, start, stop), height, width), seen[start:stop].astype(np.float32))
                for start, stop in stretches(scene)
            ]
        )


def _see(uploaded: Uploaded, seen: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which points (T, N, 3) in the axes of each frame's camera are visible."""
    visible = wp.zeros(seen.shape[:2], dtype=wp.bool)
    points = wp.array(seen, dtype=wp.vec3)
    near = list_bodies(uploaded, 0, len(seen), panes=False)
    wp.launch(
        kernels.see_points, visible.shape, inputs=[uploaded.camera, uploaded.world, near, points], outputs=[visible]
    )
    if uploaded.air.clouds.shape[0]:
        wp.launch(smoke_kernels.smoke_hides_points, visible.shape, inputs=[uploaded.air, points], outputs=[visible])
    return visible.numpy()
