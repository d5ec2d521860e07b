"""Shapes that deform, or are found anew in every frame. Letters: T frames, V vertices, F triangles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """Triangles that move on their own: cloth, soft bodies, ropes, grains (the same vertices and faces in every frame),
    or a liquid's surface, found anew in every frame.

    One entry a frame: `vertices` (V, 3) float32 in metres, in the body's frame (usually the world's); `faces` (F, 3)
    int32, counter-clockwise seen from outside; V and F may differ between frames, and frames that share the faces
    share one array. `moved` (T - 1 entries) says where the material points at the vertices of frame t are at t + 1;
    None: at the vertices of frame t + 1. It must be given where the surface is found anew: motion is then right along
    the surface as far as `moved` is, and its end is put on the surface that frame t + 1 has, at most `slack` metres
    away, else it is not valid. `smooth` shades with vertex normals, found by the renderer. `rest` (V, 3) places
    textures on a surface that keeps its vertices (None: they are where the vertices of frame 0 are); `shades`, one
    entry (V,) a frame in [0, 1], mixes the material's two colours in place of a texture.

    Raises:
        ConfigurationError: shapes, indices or values are wrong.
    """

    vertices: Sequence[NDArray[np.float32]]
    faces: Sequence[NDArray[np.int32]]
    moved: Sequence[NDArray[np.float32]] | None = None
    slack: float = 0.0
    smooth: bool = True
    rest: NDArray[np.float32] | None = None
    shades: Sequence[NDArray[np.float32]] | None = None

    def __post_init__(self) -> None:
        frames = len(self.vertices)
        if frames == 0 or len(self.faces) != frames:
            raise ConfigurationError(f"surface: {frames} frames of vertices and {len(self.faces)} of faces")
        for t, (vertices, faces) in enumerate(zip(self.vertices, self.faces, strict=True)):
            if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
                raise ConfigurationError(f"surface: vertices {vertices.shape} of frame {t} must be finite, (V, 3)")
            if faces.ndim != 2 or faces.shape[1] != 3:
                raise ConfigurationError(f"surface: faces {faces.shape} of frame {t} must be (F, 3)")
            if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
                raise ConfigurationError(f"surface: faces of frame {t} index outside its {len(vertices)} vertices")
        followers = self.vertices[1:] if self.moved is None else self.moved
        if len(followers) != frames - 1 or any(
            len(a) != len(b) for a, b in zip(self.vertices, followers, strict=False)
        ):
            raise ConfigurationError("surface: every vertex needs its place at the next frame; give `moved`")
        if self.shades is not None and [len(s) for s in self.shades] != [len(v) for v in self.vertices]:
            raise ConfigurationError("surface: shades must have one value a vertex and frame")
        if self.rest is not None and {len(v) for v in self.vertices} != {len(self.rest)}:
            raise ConfigurationError("surface: rest must have the vertices of every frame")

    @property
    def painted_at(self) -> NDArray[np.float32] | None:
        """Where the vertices take their texture from (V, 3); None: from where they are, in the frame at hand."""
        if self.rest is not None or self.moved is not None or not len(self.vertices[0]):
            return self.rest
        return self.vertices[0]
