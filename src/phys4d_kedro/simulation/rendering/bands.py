"""The passes over the frames of a scene, in bands of rows that threads share."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import warp as wp

from phys4d_kedro.simulation.rendering import colouring, kernels, smoke_kernels
from phys4d_kedro.simulation.rendering.shapes import Hit
from phys4d_kedro.simulation.rendering.tracing import TILE, Band
from phys4d_kedro.simulation.rendering.upload import Uploaded

# About how many pixels have their bodies listed at once; and on a CPU how many a band has, so that what lies between
# the kernels, 32 bytes a pixel, stays in the cache.
_PIXELS_AT_ONCE = 1 << 19
_PIXELS_OF_A_BAND = 1 << 17


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """Frames from `first` on: the images of the whole scene, the tables of `sampling_tables` with their numbers, and
    the bodies near each tile; `near_panes` counts panes among them, and is None where there are none."""

    uploaded: Uploaded
    images: dict[str, Any]
    sampling: list[Any]
    first: int
    near: Any
    near_panes: Any


def render_frames(uploaded: Uploaded, images: dict[str, Any], sampling: list[Any], frames: int, threads: int) -> None:
    """Fill in the first `frames` frames of the images; the result does not depend on `threads`."""
    T, height, width = images["depth"].shape
    on_cpu = images["depth"].device.is_cpu
    size = min(frames, max(1, _PIXELS_AT_ONCE // (height * width)))
    most = min(_PIXELS_OF_A_BAND, -(-size * height * width // threads)) if on_cpu else size * height * width
    bands = _divide(size, height, width, most)
    pixels = max(band[1] * (band[3] + 2) for band in bands) * width
    scratch = [(wp.empty(pixels, dtype=Hit), wp.empty(pixels, dtype=wp.vec3)) for _ in range(min(threads, len(bands)))]
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, frames, size):
            count = min(size, frames - first)
            piece = _Piece(
                uploaded=uploaded,
                images=images,
                sampling=sampling,
                first=first,
                near=list_bodies(uploaded, first, min(count + 1, T - first), panes=False),
                near_panes=list_bodies(uploaded, first, count, panes=True) if uploaded.panes else None,
            )
            if uploaded.air.clouds.shape[0]:
                _light_smoke(uploaded, first, count)
            left = iter(_divide(count, height, width, most))
            list(pool.map(lambda mine, piece=piece, left=left: _render_bands(piece, left, *mine), scratch))


def list_bodies(uploaded: Uploaded, first: int, frames: int, *, panes: bool) -> Any:
    """For each frame and tile of the image, the bodies that may be seen there: (frames, rows, columns, 1 + B)."""
    camera, world = uploaded.camera, uploaded.world
    rows, columns = (-(-pixels // TILE) for pixels in (camera.height, camera.width))
    near = wp.empty((frames, rows, columns, world.solids.shape[1] + 1), dtype=wp.int16)
    wp.launch(kernels.list_bodies, near.shape[:3], inputs=[first, camera, world, int(panes)], outputs=[near])
    return near


def _divide(frames: int, height: int, width: int, most: int) -> list[tuple[int, int, int, int]]:
    """Bands of about `most` pixels, whole frames or rows of one: first frame, frames, first row, rows."""
    if most >= height * width:
        size = most // (height * width)
        return [(t, min(size, frames - t), 0, height) for t in range(0, frames, size)]
    rows = max(1, most // (width * TILE)) * TILE
    return [(t, 1, row, min(rows, height - row)) for t in range(frames) for row in range(0, height, rows)]


def _light_smoke(uploaded: Uploaded, first: int, frames: int) -> None:
    """Find the sunlight in the smoke."""
    air = uploaded.air
    cells = air.sunlight.shape[0] // uploaded.lights.shape[0]
    wp.launch(
        smoke_kernels.light_smoke,
        (air.clouds.shape[0], frames, cells),
        inputs=[first, air, uploaded.lights],
        outputs=[air.sunlight],
    )


def _render_bands(piece: _Piece, left: Iterator[tuple[int, int, int, int]], hits: Any, normals: Any) -> None:
    """Render bands until none are left; `hits` and `normals` are room for those of one band."""
    for start, frames, row, rows in left:
        shape = (frames, rows + 2, piece.images["depth"].shape[2])
        pixels = shape[0] * shape[1] * shape[2]
        _render_band(piece, start, row, hits[:pixels].reshape(shape), normals[:pixels].reshape(shape))


def _render_band(piece: _Piece, start: int, row: int, hits: Any, normals: Any) -> None:
    """Fill in the rows from `row` on of the frames from `start` on, as many as `hits` and `normals` are for."""
    uploaded, images, air, lights = piece.uploaded, piece.images, piece.uploaded.air, piece.uploaded.lights
    band = Band()
    band.frame, band.row = piece.first + start, row
    # A task costs as much as a few pixels on a CPU; on a GPU pixels side by side are for threads side by side.
    band.run = TILE if hits.device.is_cpu else 1
    frames, rows, runs = hits.shape[0], hits.shape[1] - 2, -(-hits.shape[2] // band.run)
    tasks, tiles = (frames, rows, runs), (frames, -(-rows // TILE), piece.near.shape[2])
    around = wp.empty((*tiles, piece.near.shape[3]), dtype=wp.int16)
    backdrops = wp.empty(tiles, dtype=wp.int16)
    scene = [band, uploaded.camera, uploaded.world]
    annotations = [images[key] for key in ("depth", "segmentation", "motion", "motion_valid")]

    def find_hits(near: Any) -> None:
        wp.launch(kernels.find_hits, (frames, rows + 2, runs), inputs=[*scene, near], outputs=[hits, normals])

    near = piece.near[start:]
    find_hits(near)
    wp.launch(kernels.annotate, tasks, inputs=[*scene, near, uploaded.steps, hits, normals], outputs=annotations)
    if air.clouds.shape[0]:
        wp.launch(
            smoke_kernels.annotate_smoke,
            (frames, rows, hits.shape[2]),
            inputs=[band, uploaded.camera, air, hits],
            outputs=annotations,
        )
    if piece.near_panes is not None:
        near = piece.near_panes[start:]
        find_hits(near)
    wp.launch(kernels.list_surroundings, tiles, inputs=[*scene, lights, hits], outputs=[around, backdrops])
    wp.launch(
        colouring.colour_paths if uploaded.optical else colouring.colour_surfaces,
        tasks,
        inputs=[*scene, air, near, around, backdrops, lights, *piece.sampling, hits, normals],
        outputs=[images["rgb"]],
    )
    if not uploaded.optical:
        wp.launch(
            colouring.colour_backdrops,
            tasks,
            inputs=[*scene, backdrops, lights, piece.sampling[-1], hits],
            outputs=[images["rgb"]],
        )
