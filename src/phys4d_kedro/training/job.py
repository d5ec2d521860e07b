"""A job: the function that trains and its arguments, as data, so that any process on any machine can run it."""

import hashlib
import importlib
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phys4d_kedro.clips.files import open_root, written_whole
from phys4d_kedro.errors import ConfigurationError


@dataclass(frozen=True)
class Job:
    """A call of `function` ("package.module:name") with `arguments`, which are what JSON holds.

    The function leaves its result as checkpoints: called again it resumes, or loads what is complete. Paths among the
    arguments are relative to the folder that all processes start in. Whatever decides the result should be among the
    arguments, as a value or a hash: a job that was run outside is known again by them alone.

    Raises:
        ConfigurationError: `function` has another form, or an argument is not JSON.
    """

    function: str
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        module, _, name = self.function.partition(":")
        if not (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
            raise ConfigurationError(f"job function '{self.function}' has to be written package.module:name")
        for key, value in self.arguments.items():
            if not _is_json(value):
                raise ConfigurationError(
                    f"{self.function}: argument '{key}' = {value!r} is not JSON; give numbers, strings, true, false, "
                    f"null, lists and dictionaries of these (paths as strings, models as model_dump(mode='json'))"
                )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the function's name and the arguments."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def resolve(self) -> Callable[..., Any]:
        """The function itself.

        Raises:
            ConfigurationError: there is no such module or function, or it does not take these arguments.
        """
        module, _, name = self.function.partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
            inspect.signature(function).bind(**self.arguments)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module is there; one that it imports is not
            raise ConfigurationError(f"job function '{self.function}': there is no module '{error.name}'") from error
        except AttributeError as error:
            raise ConfigurationError(
                f"job function '{self.function}': module '{module}' has no '{name}'; {error}"
            ) from error
        except TypeError as error:
            raise ConfigurationError(
                f"job function '{self.function}' does not take these arguments: {error}"
            ) from error
        return function

    def run(self) -> Any:
        """Call the function in this process. Raises what it raises, and ConfigurationError as `resolve`."""
        return self.resolve()(**self.arguments)

    def write(self, folder: Path) -> Path:
        """Write the job into a folder, as <function>_<fingerprint>.json."""
        path = folder / f"{self.function.rpartition(':')[2]}_{self.fingerprint[:12]}.json"
        write_json(path, asdict(self))
        return path

    @classmethod
    def read(cls, path: Path) -> "Job":
        """The job of a file. Raises ConfigurationError if it is missing or holds none."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} is not the file of a job: {error}") from error


def done_file(path: Path) -> Path:
    """The file beside a job file that says that the job has run; it holds the job's fingerprint."""
    return path.with_suffix(".done")


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file that is whole or absent. Raises StorageFullError."""
    fs, name = open_root(str(path))
    with written_whole(fs, name) as file:
        file.write(json.dumps(document, indent=2).encode())


def _is_json(value: object) -> bool:
    """Whether a value comes back from JSON as it was: no tuples, no keys but strings, no NaN."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False
