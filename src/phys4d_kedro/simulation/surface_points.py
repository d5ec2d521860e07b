"""Material points of a surface that deforms, followed through its frames."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from phys4d_kedro.simulation.rendering.scene import Surface

_CANDIDATES = 12  # faces, by the nearness of their centres, among which the nearest to a point is looked for


def follow(surface: Surface, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points (N, 3), metres, on the surface of frame 0 are in every frame: (T, N, 3).

    On a surface that keeps its vertices a point keeps its place in its triangle. On one that is found anew in every
    frame it goes where `Surface.moved` says and is put on the nearest triangle there; while there is no surface it
    rests.
    """
    ways = np.empty((len(surface.vertices), *points.shape))
    face, weights = locate(surface, 0, points)
    for t, vertices in enumerate(surface.vertices):
        if surface.moved is not None and t:
            face, weights = locate(surface, t, ways[t])
        if len(surface.faces[t]):
            ways[t] = _at(vertices, surface.faces[t], face, weights)
        elif t == 0:
            ways[t] = points
        if t + 1 < len(ways):
            moved = surface.vertices[t + 1] if surface.moved is None else surface.moved[t]
            ways[t + 1] = _at(moved, surface.faces[t], face, weights) if len(surface.faces[t]) else ways[t]
    return ways


def locate(surface: Surface, t: int, points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The triangle of frame t nearest to each point (N,), and the barycentric weights (N, 3) of its nearest place."""
    faces = surface.faces[t]
    if not len(faces):
        return np.zeros(len(points), np.int64), np.zeros((len(points), 3))
    corners = surface.vertices[t][faces].astype(float)
    count = min(_CANDIDATES, len(faces))
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=count)
    near = near.reshape(len(points), count)
    weights = _nearest(points[:, None], corners[near])
    apart = np.linalg.norm((weights[..., None] * corners[near]).sum(axis=2) - points[:, None], axis=-1)
    best = apart.argmin(axis=1)[:, None]
    return np.take_along_axis(near, best, 1)[:, 0], np.take_along_axis(weights, best[..., None], 1)[:, 0]


def _at(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], face: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray((vertices[faces[face]] * weights[..., None]).sum(axis=1))


def _nearest(points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Barycentric weights (N, K, 3) of a place in each triangle (N, K, 3, 3) near the point (N, 1, 3): the foot of the
    perpendicular, drawn in to the triangle."""
    a = corners[:, :, 0]
    u, v, w = corners[:, :, 1] - a, corners[:, :, 2] - a, points - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = np.maximum(uu * vv - uv * uv, 1e-30)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    weights = np.clip(np.stack([1 - second - third, second, third], -1), 0, None)
    return np.asarray(weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30))
