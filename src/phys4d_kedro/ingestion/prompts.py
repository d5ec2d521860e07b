"""Prompts beside videos: a `metadata.csv` with the columns `video` and `prompt`."""

import csv
from pathlib import Path, PurePosixPath

from phys4d_kedro.errors import MediaError

METADATA = "metadata.csv"


def read_prompts(folder: Path) -> dict[str, str]:
    """Prompt by video (a path from the folder, in POSIX form); empty where there is no metadata.csv.

    Raises:
        MediaError: the file is not a table with these columns.
    """
    file = folder / METADATA
    if not file.is_file():
        return {}
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            if not {"video", "prompt"} <= set(table.fieldnames or ()):
                raise MediaError(f"'{file}' must have the columns 'video' and 'prompt', it has {table.fieldnames}")
            return {PurePosixPath(row["video"]).as_posix(): row["prompt"] or "" for row in table if row["video"]}
    except (UnicodeDecodeError, csv.Error) as error:
        raise MediaError(f"'{file}' is not a CSV file in UTF-8 ({error})") from error


def prompt_of(prompts: dict[str, str], path: PurePosixPath) -> str:
    """The prompt of a video or of a sequence's folder: by its path, its name, or a path inside it; else none."""
    for name in (path.as_posix(), path.name):
        if name in prompts:
            return prompts[name]
    inside = f"{path.as_posix()}/"
    return next((prompt for video, prompt in prompts.items() if video.startswith(inside)), "")
