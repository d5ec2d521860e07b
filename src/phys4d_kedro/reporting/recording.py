"""Clips as a recording for the viewer of Rerun (https://rerun.io): images, camera, coloured points, tracks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.reporting.colors import instance_colors
from phys4d_kedro.reporting.point_clouds import camera_of, world_points


def find_clip(store: ClipStore, scene: str) -> Clip:
    """The first clip of a scene. Raises ConfigurationError naming the scenes that there are."""
    rows = store.manifest[store.manifest["scene"] == scene]
    if rows.empty:
        shown = ", ".join(store.manifest["scene"].unique())
        raise ConfigurationError(f"'{store.path}' has no clip of the scene '{scene}'; its scenes are {shown}")
    return store.read(str(rows["clip_id"].iloc[0]))


def record(clip: Clip, generated: Clip | None = None) -> bytes:
    """The content of an .rrd file that `rerun <file>` plays; clips need depth and a camera.

    The timeline `time` is that of the clips. In `world` (metres, z up): `camera`, with RGB, depth and instances on its
    image plane; `points`, what the pixels see, in their colours; `tracks`, the material points, where they are and
    have been, in the colours of their instances. Instances and tracks are shown of clips that have them. `generated`,
    a clip generated of the same event, has a space of its own, of that name, which is shown beside.

    Raises:
        ConfigurationError: Rerun is not installed.
        MissingAnnotationError: a clip lacks depth or camera.
    """
    return _record({"world": clip} if generated is None else {"world": clip, "generated": generated})


def record_worlds(truth: Clip, worlds: Mapping[str, Clip]) -> bytes:
    """The same of a true clip (`world`) and of the world of each stage, in spaces of the stages' names.

    Worlds are seen with the camera of the truth.

    Raises:
        ConfigurationError, MissingAnnotationError: as `record`.
    """
    camera = {"intrinsics": truth.intrinsics, "world_from_camera": truth.world_from_camera}
    return _record({"world": truth, **{stage: world.with_(**camera) for stage, world in worlds.items()}})


def _record(clips: Mapping[str, Clip]) -> bytes:
    """A recording of clips by the names of their spaces; the first gives its name and prompt."""
    for shown in clips.values():
        shown.require("depth", "intrinsics", "world_from_camera")
    try:
        import rerun as rr
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "recordings are made by Rerun, which is not installed: pip install 'phys4d_kedro[rerun]'"
        ) from error
    clip = next(iter(clips.values()))
    recording = rr.RecordingStream("phys4d_kedro", recording_id=clip.clip_id)
    stream = recording.binary_stream()
    recording.send_blueprint(_views(clips))
    recording.log(
        "prompt", rr.TextDocument(f"**{clip.scene}**\n\n{clip.prompt}", media_type="text/markdown"), static=True
    )
    for space, shown in clips.items():
        _log_clip(recording, shown, space)
    content = stream.read()
    assert content is not None  # only of a stream that is closed
    return bytes(content)


def _views(clips: Mapping[str, Clip]) -> Any:
    """A column a clip: its space above its images; at the bottom the prompt."""
    import rerun.blueprint as rrb

    columns = []
    for space, clip in clips.items():
        names = ["rgb", "depth"] + ["instances"] * (clip.segmentation is not None)
        images = [rrb.Spatial2DView(origin=f"{space}/camera/{name}", name=name) for name in names]
        hidden = [f"- {space}/camera/{name}" for name in names[1:]]
        world = rrb.Spatial3DView(origin=space, name=space, contents=["+ $origin/**", *hidden])
        columns.append(rrb.Vertical(world, rrb.Horizontal(*images), row_shares=[3, 1]))
    prompt = rrb.TextDocumentView(origin="prompt", name="prompt")
    return rrb.Blueprint(rrb.Vertical(rrb.Horizontal(*columns), prompt, row_shares=[8, 1]), collapse_panels=True)


def _log_clip(recording: Any, clip: Clip, space: str) -> None:
    import rerun as rr

    height, width = clip.size
    recording.log(space, rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    recording.log(
        f"{space}/camera",
        rr.Pinhole(
            image_from_camera=clip.intrinsics,
            resolution=[width, height],
            camera_xyz=rr.ViewCoordinates.RDF,
            image_plane_distance=0.3,
        ),
        static=True,
    )
    for frame in range(clip.frames):
        recording.set_time("time", duration=frame / clip.fps)
        _log_frame(recording, clip, space, frame)
        if clip.tracks is not None:
            _log_tracks(recording, clip, space, frame)


def _log_frame(recording: Any, clip: Clip, space: str, frame: int) -> None:
    import rerun as rr

    camera, depth = camera_of(clip), clip.arrays()["depth"][frame]
    pose = camera.world_from_camera[frame]
    recording.log(f"{space}/camera", rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    recording.log(f"{space}/camera/rgb", rr.Image(clip.rgb[frame]))
    # Rerun takes depth 0 as none.
    seen = np.isfinite(depth)
    recording.log(f"{space}/camera/depth", rr.DepthImage(np.where(seen, depth, 0), meter=1.0))
    if clip.segmentation is not None:
        recording.log(f"{space}/camera/instances", rr.Image(instance_colors(clip.segmentation[frame])))
    points = world_points(clip, camera, frame)[seen]
    recording.log(f"{space}/points", rr.Points3D(points, colors=clip.rgb[frame][seen], radii=rr.Radius.ui_points(1.5)))


def _log_tracks(recording: Any, clip: Clip, space: str, frame: int) -> None:
    """The material points where they are now, of those that are visible, and the ways of all so far."""
    import rerun as rr

    tracks, visible, instances = (clip.arrays()[key] for key in ("tracks", "track_visible", "track_instance"))
    colours, shown = instance_colors(instances), visible[frame]
    recording.log(
        f"{space}/tracks/now",
        rr.Points3D(tracks[frame][shown], colors=colours[shown], radii=rr.Radius.ui_points(3)),
    )
    if frame:
        recording.log(
            f"{space}/tracks/so_far",
            rr.LineStrips3D(tracks[: frame + 1].transpose(1, 0, 2), colors=colours, radii=rr.Radius.ui_points(0.7)),
        )
