"""Draws that make no clip."""

from phys4d_kedro.errors import Phys4DError


class BadDrawError(Phys4DError):
    """A configuration that cannot be simulated or seen; another one is drawn in its place.

    `kind` is the reason, by which such draws are counted; `detail`, which differs from draw to draw, is only in the
    message.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind} {detail}".rstrip())
        self.kind = kind
