"""What was measured of a video, kept in files that are keyed by the video files and the rules."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.evaluation.physics_iq.metrics import Comparison

_VERSION = 1  # of what the figures mean


@dataclass(frozen=True)
class Cache:
    """A folder of JSON files, each written whole."""

    folder: Path

    def get(self, key: Sequence[Any]) -> Comparison | None:
        """What is there under a key; None where nothing is, or nothing that can be read."""
        try:
            kept: dict[str, Any] = json.loads(self._file(key).read_text(encoding="utf-8"))
            frames: dict[str, Any] = {name: tuple(kept.pop(name)) for name in ("mse", "spatiotemporal_iou")}
            return Comparison(**frames, **kept)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, key: Sequence[Any], comparison: Comparison) -> None:
        """Keep it. Raises StorageFullError."""
        fs, path = open_root(str(self._file(key)))
        with written_whole(fs, path) as file:
            file.write(json.dumps(asdict(comparison)).encode())

    def _file(self, key: Sequence[Any]) -> Path:
        import av
        import cv2

        content = json.dumps([_VERSION, cv2.__version__, av.__version__, *key], sort_keys=True)
        return self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"


def identity(file: Path) -> list[Any]:
    """What changes when a file does: its place, size and time."""
    state = file.stat()
    return [str(file.resolve()), state.st_size, state.st_mtime_ns]
