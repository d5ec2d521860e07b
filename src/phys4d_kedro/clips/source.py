"""A clip source: clips that are not made yet, described so that making them can be resumed and shared out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from phys4d_kedro.clips.clip import Clip


@dataclass(frozen=True, kw_only=True)
class ClipSource:
    """Clips to be made, in a fixed order.

    `clip_ids` names them; `fingerprint` is a hash of all that decides their content (parameters, inputs, seed), so
    that shards already on disk are kept only while they would come out the same; `make(i)` makes clip i and depends
    on nothing but i, so that any process can make any clip. `make` must be picklable (a module-level function under
    functools.partial, or a callable dataclass) and may raise a Phys4DError to stop the run.
    """

    clip_ids: Sequence[str]
    fingerprint: str
    make: Callable[[int], Clip]
    description: str

    def __len__(self) -> int:
        return len(self.clip_ids)
