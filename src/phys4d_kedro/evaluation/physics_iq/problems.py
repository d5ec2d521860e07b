"""What is wrong with a video or a folder, and what that does to the scores: nothing is skipped without one of these."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "missing", "extra", "wrong_name", "unreadable", "short", "frame_rate", "size", "no_motion", "zero_variance", "masks"
]
Effect = Literal["scored", "left out"]


@dataclass(frozen=True)
class Problem:
    """A finding. `run` names the seed; it is None where the data set is meant, which concerns every seed."""

    kind: Kind
    file: str
    effect: Effect
    message: str
    run: str | None = None

    def __str__(self) -> str:
        where = "data set" if self.run is None else self.run
        return f"{where}: {self.kind.replace('_', ' ')}: {self.file}: {self.message} ({self.effect})"

    def as_json(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def sort_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Each once: those of the data set first, then by run, kind and file."""
    return sorted(set(problems), key=lambda p: (p.run is not None, p.run or "", p.kind, p.file, p.message))
