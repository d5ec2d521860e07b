"""A clip as a recording for the viewer of Rerun (https://rerun.io): images, camera, coloured points, tracks."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.errors import ConfigurationError
from phys4d_kedro.geometry.camera import transform, unproject
from phys4d_kedro.reporting.colors import instance_colors


def find_clip(store: ClipStore, scene: str) -> Clip:
    """The first clip of a scene. Raises ConfigurationError naming the scenes that there are."""
    rows = store.manifest[store.manifest["scene"] == scene]
    if rows.empty:
        shown = ", ".join(store.manifest["scene"].unique())
        raise ConfigurationError(f"'{store.path}' has no clip of the scene '{scene}'; its scenes are {shown}")
    return store.read(str(rows["clip_id"].iloc[0]))


def record(clip: Clip) -> bytes:
    """The content of an .rrd file that `rerun <file>` plays; the clip needs depth, segmentation, camera and tracks.

    The timeline `time` is that of the clip. In the world (metres, z up): `camera`, with RGB, depth and instances on its
    image plane; `points`, what the pixels see, in their colours; `tracks`, the material points, where they are and
    have been, in the colours of their instances.

    Raises:
        ConfigurationError: Rerun is not installed.
        MissingAnnotationError: the clip lacks one of these.
    """
    clip.require("depth", "segmentation", "intrinsics", "world_from_camera", "tracks")
    try:
        import rerun as rr
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "recordings are made by Rerun, which is not installed: pip install 'phys4d_kedro[rerun]'"
        ) from error
    recording = rr.RecordingStream("phys4d_kedro", recording_id=clip.clip_id)
    stream = recording.binary_stream()
    recording.send_blueprint(_views())
    recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    recording.log(
        "prompt", rr.TextDocument(f"**{clip.scene}**\n\n{clip.prompt}", media_type="text/markdown"), static=True
    )
    height, width = clip.size
    recording.log(
        "world/camera",
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
        _log_frame(recording, clip, frame)
    content = stream.read()
    assert content is not None  # only of a stream that is closed
    return bytes(content)


def _views() -> Any:
    """Space on the left; on the right the images and the prompt."""
    import rerun.blueprint as rrb

    images = [rrb.Spatial2DView(origin=f"world/camera/{name}", name=name) for name in ("rgb", "depth", "instances")]
    space = rrb.Spatial3DView(
        origin="world", name="space", contents=["+ $origin/**", "- world/camera/depth", "- world/camera/instances"]
    )
    words = rrb.TextDocumentView(origin="prompt", name="prompt")
    return rrb.Blueprint(
        rrb.Horizontal(space, rrb.Vertical(*images, words), column_shares=[3, 1]), collapse_panels=True
    )


def _log_frame(recording: Any, clip: Clip, frame: int) -> None:
    import rerun as rr

    depth, segmentation, poses, tracks = (
        clip.arrays()[key][: frame + 1] for key in ("depth", "segmentation", "world_from_camera", "tracks")
    )
    pose = poses[frame]
    recording.log("world/camera", rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    recording.log("world/camera/rgb", rr.Image(clip.rgb[frame]))
    # Rerun takes depth 0 as none.
    seen = np.isfinite(depth[frame])
    recording.log("world/camera/depth", rr.DepthImage(np.where(seen, depth[frame], 0), meter=1.0))
    recording.log("world/camera/instances", rr.Image(instance_colors(segmentation[frame])))
    points = _world_points(clip, frame)[seen]
    recording.log("world/points", rr.Points3D(points, colors=clip.rgb[frame][seen], radii=rr.Radius.ui_points(1.5)))
    colours = instance_colors(clip.arrays()["track_instance"])
    visible = clip.arrays()["track_visible"][frame]
    recording.log(
        "world/tracks/now", rr.Points3D(tracks[frame][visible], colors=colours[visible], radii=rr.Radius.ui_points(3))
    )
    if frame:
        recording.log(
            "world/tracks/so_far",
            rr.LineStrips3D(tracks.transpose(1, 0, 2), colors=colours, radii=rr.Radius.ui_points(0.7)),
        )


def _world_points(clip: Clip, frame: int) -> NDArray[np.float32]:
    """World positions (H, W, 3), metres, of what the pixels see; not finite where that is nothing."""
    arrays = {key: torch.from_numpy(clip.arrays()[key].copy()) for key in ("depth", "intrinsics", "world_from_camera")}
    points = unproject(arrays["depth"][frame], arrays["intrinsics"])
    pose = arrays["world_from_camera"][frame].to(points)
    return transform(points.reshape(-1, 3), pose).reshape(points.shape).numpy()
