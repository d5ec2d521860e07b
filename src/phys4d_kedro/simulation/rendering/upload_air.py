"""Volumes and panorama as the kernels want them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from phys4d_kedro.simulation.rendering.air import Air, Cloud
from phys4d_kedro.simulation.rendering.scene import RenderScene, Sky
from phys4d_kedro.simulation.rendering.structures import inverse, rigid, structures
from phys4d_kedro.simulation.rendering.tracing import Placement
from phys4d_kedro.simulation.rendering.upload_lights import gradient_mean, linear
from phys4d_kedro.simulation.rendering.volumes import Volume

# Factors of the polynomials in the real spherical harmonics (Ramamoorthi and Hanrahan, An efficient representation for
# irradiance environment maps, SIGGRAPH 2001, equation 3), in the order of `panorama_light`, and those by which a
# surface's cosine weakens each (equation 8), over pi.
_HARMONICS = np.array([0.282095, *[0.488603] * 3, *[1.092548] * 2, 0.315392, 1.092548, 0.546274])
_COSINE = np.array([1, *[2 / 3] * 3, *[1 / 4] * 5])


def upload_air(scene: RenderScene) -> Any:
    """The `Air` of a scene, on the current device, but for the sunlight in the smoke."""
    volumes = scene.volumes
    air = Air()
    harmonics = _irradiance(scene.sky)
    panorama = np.zeros((0, 1, 3)) if scene.sky.panorama is None else scene.sky.panorama
    air.panorama = wp.array(panorama.astype(np.float32), dtype=wp.vec3)
    air.harmonics = wp.array(harmonics.astype(np.float32), dtype=wp.vec3)
    # The mean of the irradiance over all directions is its constant part (the polynomials of the others have none).
    light = scene.sky.intensity * harmonics[0] if scene.sky.panorama is not None else gradient_mean(scene.sky)
    air.ambient = wp.vec3(*light.tolist())
    clouds = _clouds(volumes)
    air.clouds = wp.array(clouds, dtype=Cloud)
    air.density = wp.array(_flat([volume.density for volume in volumes]), dtype=float)
    glow = [np.zeros_like(v.density) if v.glow is None else v.glow for v in volumes]
    air.glow = wp.array(_flat(glow if any(v.glow is not None for v in volumes) else []), dtype=float)
    air.velocity = wp.array(_flat([volume.velocity for volume in volumes]).reshape(-1, 3), dtype=wp.vec3)
    air.places = wp.array(_places(scene), dtype=Placement)
    air.sunlight = wp.zeros(_ends(clouds, scene.frames), dtype=float)
    return air


def _clouds(volumes: Sequence[Volume]) -> NDArray[Any]:
    clouds = structures(Cloud, len(volumes))
    start = sun_start = 0
    for cloud, volume in zip(clouds, volumes, strict=True):
        T, *count = volume.density.shape
        half = [(cells + 1) // 2 for cells in count]
        cloud["start"], cloud["count"], cloud["cell"] = start, count, volume.cell
        cloud["sun_start"], cloud["sun_count"] = sun_start, half
        cloud["instance"], cloud["colour"] = volume.instance, linear(volume.colour)
        start += volume.density.size
        sun_start += T * int(np.prod(half))
    return clouds


def _ends(clouds: NDArray[Any], frames: int) -> int:
    """Cells of the sunlight of all volumes and frames."""
    return sum(frames * int(np.prod(cloud["sun_count"])) for cloud in clouds)


def _places(scene: RenderScene) -> NDArray[Any]:
    """volume_from_camera (T, N)."""
    lower = np.array([volume.lower for volume in scene.volumes], dtype=float).reshape(-1, 3)
    world_from_volume = np.tile(np.eye(4), (len(lower), 1, 1))
    world_from_volume[:, :3, 3] = lower
    return rigid(inverse(world_from_volume) @ scene.camera.world_from_camera[:, None], Placement)


def _flat(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """All values in one row, without a copy where there is but one array."""
    rows = [np.ascontiguousarray(array, dtype=np.float32).reshape(-1) for array in arrays]
    return rows[0] if len(rows) == 1 else np.concatenate([np.zeros(0, np.float32), *rows])


def _irradiance(sky: Sky) -> NDArray[np.float64]:
    """Coefficients (9, 3) of `panorama_light`; zeros without a panorama."""
    if sky.panorama is None:
        return np.zeros((9, 3))
    rows, columns = sky.panorama.shape[:2]
    edges = np.cos(np.linspace(0, np.pi, rows + 1))
    solid_angle = (edges[:-1] - edges[1:]) * 2 * np.pi / columns
    polar, azimuth = np.meshgrid(
        (np.arange(rows) + 0.5) * np.pi / rows, (np.arange(columns) + 0.5) * 2 * np.pi / columns, indexing="ij"
    )
    x, y, z = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)
    polynomials = np.stack((np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y))
    projected = np.einsum("khw,h,hwc->kc", polynomials, solid_angle, sky.panorama.astype(float))
    return (_COSINE * _HARMONICS**2)[:, None] * projected
