"""From a description to what the renderer draws: environment and cameras, drawn with the configuration."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.geometry.camera import intrinsics_from_fov, look_at
from phys4d_kedro.simulation.config import CameraConfig
from phys4d_kedro.simulation.description import Description, Lighting, Vector, pace
from phys4d_kedro.simulation.environments import studio
from phys4d_kedro.simulation.randomization import Draw
from phys4d_kedro.simulation.rendering.scene import (
    Body,
    CameraPath,
    Colour,
    Material,
    Plane,
    RenderScene,
    Sky,
    Sun,
    TextureKind,
)
from phys4d_kedro.simulation.rollout import Rollout

_GROUNDS: dict[str, tuple[Colour, Colour]] = {
    "wooden floor": ((0.62, 0.43, 0.27), (0.50, 0.33, 0.20)),
    "tiles": ((0.80, 0.79, 0.76), (0.55, 0.56, 0.60)),
    "concrete": ((0.62, 0.62, 0.60), (0.52, 0.52, 0.51)),
    "carpet": ((0.48, 0.30, 0.30), (0.56, 0.40, 0.36)),
    "grass": ((0.36, 0.48, 0.22), (0.27, 0.40, 0.17)),
    "sand": ((0.80, 0.70, 0.52), (0.70, 0.60, 0.43)),
}
_TEXTURES: dict[str, TextureKind] = {
    "wooden floor": "wood",
    "tiles": "checker",
    "concrete": "noise",
    "carpet": "dots",
    "grass": "noise",
    "sand": "marble",
}


def stage(description: Description, rollout: Rollout, camera: CameraPath, draw: Draw) -> RenderScene:
    """The scene to render: ground, things, sun and sky."""
    ground = draw.choice("ground", tuple(_GROUNDS))
    colour, second = _GROUNDS[ground]
    floor = Material(
        colour=colour,
        second_colour=second,
        texture=_TEXTURES[ground],
        scale=draw.uniform("ground_scale", 0.35, 0.9),
        roughness=0.8,
    )
    bodies = [Body(shape=Plane(half_size=(20.0, 20.0)), material=floor), *_bodies(description, rollout)]
    frames = len(rollout.poses)
    still = np.broadcast_to(np.eye(4), (frames, 1, 4, 4))
    deforming = np.broadcast_to(np.eye(4), (frames, len(rollout.surfaces), 4, 4))
    first_volume = 1 + len(description.instances)
    return RenderScene(
        bodies=bodies,
        poses=np.concatenate([still, rollout.poses, deforming], axis=1),
        camera=camera,
        sun=_sun(description.lighting or Lighting(), frames, draw),
        sky=_sky(description.lighting or Lighting(), draw),
        volumes=[replace(volume, instance=first_volume + v) for v, volume in enumerate(rollout.volumes)],
    )


def _bodies(description: Description, rollout: Rollout) -> list[Body]:
    """Parts of things, then surfaces; what can move or change is numbered from 1 on, in order."""
    bodies, instance = [], 0
    for thing in description.things:
        instance += not thing.fixed
        bodies += [
            Body(shape=part.shape, material=thing.substance.material, instance=0 if thing.fixed else instance)
            for part in thing.parts
        ]
    return bodies + [
        Body(shape=moving.surface, material=moving.material, instance=instance + 1 + k)
        for k, moving in enumerate(rollout.surfaces)
    ]


def _sun(lighting: Lighting, frames: int, draw: Draw) -> Sun:
    azimuth = np.radians(draw.uniform("sun_azimuth", 0, 360))
    height = np.radians(draw.uniform("sun_elevation", 35, 75))
    fixed = (float(np.cos(azimuth) * np.cos(height)), float(np.sin(azimuth) * np.cos(height)), float(np.sin(height)))
    return Sun(
        direction=_spread(lighting.directions, frames) if lighting.directions else fixed,
        intensity=lighting.lamp * draw.uniform("sun_intensity", 0.75, 1.2),
        angular_diameter=draw.uniform("sun_diameter", 2, 9),
    )


def _spread(directions: Sequence[Vector], frames: int) -> list[Vector]:
    """A direction a frame, along the given ones."""
    corners = np.asarray(directions, dtype=float)
    at = np.linspace(0, len(corners) - 1, frames)
    x, y, z = (np.interp(at, np.arange(len(corners)), corners[:, axis]).tolist() for axis in range(3))
    return list(zip(x, y, z, strict=True))


def _sky(lighting: Lighting, draw: Draw) -> Sky:
    intensity = lighting.sky * draw.uniform("sky_intensity", 0.75, 1.15)
    return Sky(intensity=intensity, panorama=studio(draw) if lighting.indoor else None)


def draw_camera(
    description: Description, config: CameraConfig, draw: Draw, *, frames: int, height: int, width: int
) -> tuple[CameraPath, str]:
    """A camera path that looks at the scene, and the words for how it moves."""
    motion = draw.choice("camera_motion", config.motions)
    azimuth = draw.uniform("camera_azimuth", *description.azimuths)
    elevation = draw.uniform("camera_elevation", *config.elevation)
    fov = draw.uniform("camera_fov", *config.field_of_view)
    distance = description.radius * draw.uniform("camera_distance", *config.distance) / np.tan(np.radians(fov) / 2)
    wander = [draw.uniform(f"camera_target_{axis}", -0.15, 0.15) * description.radius for axis in "xy"]
    share = np.linspace(0, 1, frames)
    turn = draw.uniform("camera_orbit", *config.orbit) * draw.sign("camera_side") if motion == "orbit" else 0.0
    approach = draw.uniform("camera_dolly", *config.dolly) if motion == "dolly" else 0.0
    target = np.asarray(description.centre) + np.array([*wander, 0.0])
    eyes = _eyes(target, azimuth + turn * share, elevation, distance * (1 - approach * share))
    words = {
        "static": "Static camera.",
        "orbit": f"The camera moves {_pace(abs(turn), config.orbit)} around the scene to the "
        f"{'right' if turn > 0 else 'left'}.",
        "dolly": f"The camera moves {_pace(approach, config.dolly)} closer.",
    }
    path = look_at(eyes, np.broadcast_to(target, eyes.shape))
    return CameraPath(intrinsics=intrinsics_from_fov(fov, height, width), world_from_camera=path), words[motion]


def direction_words(camera: CameraPath, direction: tuple[float, float]) -> str:
    """Words for a horizontal direction of the world as the camera sees it in the first frame, by eighths of a turn."""
    right, forward = camera.world_from_camera[0, :2, 0], camera.world_from_camera[0, :2, 2]
    sideways = np.dot(direction, right) / (np.linalg.norm(direction) * np.linalg.norm(right))
    away = np.dot(direction, forward) / (np.linalg.norm(direction) * np.linalg.norm(forward))
    names = [(sideways, "to the right", "to the left"), (away, "away from the camera", "towards the camera")]
    return " and ".join(one if share > 0 else other for share, one, other in names if abs(share) > np.sin(np.pi / 8))


def _pace(amount: float, span: tuple[float, float]) -> str:
    """The prompt's word for a camera's way, by thirds of the range it is drawn from."""
    least, most = span
    return pace(amount, slow=least + (most - least) / 3, quick=most - (most - least) / 3)


def _eyes(
    target: NDArray[np.float64],
    azimuth: NDArray[np.float64],
    elevation: float,
    distance: NDArray[np.float64],
) -> NDArray[np.float64]:
    around, up = np.radians(azimuth), np.radians(elevation)
    directions = np.stack(
        [np.cos(around) * np.cos(up), np.sin(around) * np.cos(up), np.full_like(around, np.sin(up))], -1
    )
    return target + distance[:, None] * directions
