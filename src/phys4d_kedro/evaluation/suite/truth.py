"""A simulated clip, prepared to judge the worlds that begin like it.

Letters: T frames, H rows, W columns, M material points, K objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phys4d_kedro.clips.clip import Clip
from phys4d_kedro.evaluation.metrics import REQUIRED
from phys4d_kedro.evaluation.suite.config import SuiteConfig
from phys4d_kedro.evaluation.suite.objects import FollowedObject, LiftingCamera, follow_objects, lifting_camera
from phys4d_kedro.evaluation.worlds import WorldReference, prepare_reference
from phys4d_kedro.geometry.lifting import moving_instances


@dataclass(frozen=True)
class SuiteTruth:
    """`objects`: those of the first frame, followed through the exact annotations; `there` (K, T): in which frames
    enough of each is visible. `tracks`: of objects that move, by instance, their material points (T, M, 3) that are
    visible in the first frame. `world`: None where nothing that moves is seen.
    """

    clip: Clip
    camera: LiftingCamera
    world: WorldReference | None
    objects: list[FollowedObject]
    there: NDArray[np.bool_]
    tracks: Mapping[int, NDArray[np.floating[Any]]]

    @property
    def instances(self) -> NDArray[np.uint16]:
        """Ids (H, W) of `objects` in the first frame, which a world that begins like this clip shares; 0: of none."""
        arrays = self.clip.arrays()
        first = arrays["segmentation"][0]
        counted = np.isin(first, [item.instance for item in self.objects]) & np.isfinite(arrays["depth"][0])
        return np.where(counted, first, 0)


def prepare_truth(clip: Clip, config: SuiteConfig) -> SuiteTruth:
    """Prepare an exact clip.

    Raises:
        MissingAnnotationError: the clip lacks an exact annotation.
    """
    clip.require(*REQUIRED)
    arrays, camera = clip.arrays(), lifting_camera(clip, config.field_of_view)
    objects = follow_objects(clip, arrays["segmentation"][0], camera, config)
    pixels = np.array([(arrays["segmentation"] == item.instance).sum((1, 2)) for item in objects])
    first = arrays["track_visible"][0]
    own = {
        int(i): first & (arrays["track_instance"] == i)
        for i in moving_instances(clip, threshold=config.world.moving_threshold)
    }
    return SuiteTruth(
        clip=clip,
        camera=camera,
        world=prepare_reference(clip, config.world),
        objects=objects,
        there=pixels >= config.world.visible_share * pixels[:, :1] if objects else np.zeros((0, clip.frames), np.bool_),
        tracks={i: arrays["tracks"][:, chosen] for i, chosen in own.items() if chosen.any()},
    )
