"""The node of the recording pipeline."""

from phys4d_kedro.clips.store import ClipStore
from phys4d_kedro.reporting.gallery_config import GalleryConfig


def record_gallery_clip(clips: ClipStore, parameters: GalleryConfig) -> bytes:
    """Record the clip of a scene in space and time: images, camera, coloured points and tracks (an .rrd file)."""
    from phys4d_kedro.reporting.recording import find_clip, record

    return record(find_clip(clips, parameters.recording_scene))
