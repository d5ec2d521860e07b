"""Parameters checked against their models; the errors name the file, the line, the field and the fix."""

import copy
import difflib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from phys4d_kedro.errors import ConfigurationError

FieldPath = tuple[str, ...]

_REFERENCE = re.compile(r"\$\{(globals|runtime_params):([\w.]+)")


@dataclass(frozen=True)
class Place:
    """Where a value is written: `text` names the file and line; `raw` is the value as written there."""

    text: str
    raw: str = ""


@dataclass(frozen=True)
class ParameterFiles:
    """Where parameters and globals are written, by field; a later environment hides an earlier one."""

    parameters: dict[FieldPath, Place] = field(default_factory=dict)
    globals: dict[FieldPath, Place] = field(default_factory=dict)
    base_keys: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls, conf: Path, *, environments: Sequence[str], patterns: Sequence[str], runtime: Mapping[str, Any]
    ) -> "ParameterFiles":
        """Look through the folders `environments` of `conf` (base first), then the values of --params."""
        parameters: dict[FieldPath, Place] = {}
        global_values: dict[FieldPath, Place] = {}
        base_keys: set[str] = set()
        for environment in dict.fromkeys(environments):
            folder = conf / environment
            for file in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
                if file.suffix in (".yml", ".yaml", ".json"):
                    found = dict(_places(file, conf.parent))
                    if environment == environments[0]:
                        base_keys |= {path[0] for path in found}
                        base_keys |= {
                            name.partition(".")[0]
                            for place in found.values()
                            for kind, name in _REFERENCE.findall(place.raw)
                            if kind == "runtime_params"
                        }
                    parameters |= found
            if (folder / "globals.yml").is_file():
                global_values |= dict(_places(folder / "globals.yml", conf.parent))
        parameters |= {path: Place("--params") for path in _leaves(runtime)}
        return cls(parameters, global_values, frozenset(base_keys))

    def place(self, path: FieldPath) -> str:
        """The file and line of a field, or of the nearest part that holds it."""
        for length in range(len(path), 0, -1):
            place = self.parameters.get(path[:length])
            if place is not None:
                for kind, name in _REFERENCE.findall(place.raw):
                    if kind == "globals" and tuple(name.split(".")) in self.globals:
                        source = self.globals[tuple(name.split("."))]
                        return f"{source.text} ({name}, used in {place.text})"
                return place.text
        return f"conf/base/parameters_{path[0]}.yml"


def check_parameters(
    parameters: Mapping[str, Any], models: Mapping[str, type], files: ParameterFiles
) -> dict[str, Any]:
    """Validate each `parameters[key]` (dotted keys reach inside) against the pydantic model `models[key]`.

    Returns the parameters with the models in their places.

    Raises:
        ConfigurationError: one line a fault: file and line, dotted field, value, what is wrong, the fix.
    """
    faults = [
        f"{files.place(path)}: unknown key '{path[0]}'{_suggestion(path[0], files.base_keys)}"
        for path in files.parameters
        if len(path) == 1 and files.base_keys and path[0] not in files.base_keys
    ]
    checked = copy.deepcopy(dict(parameters))
    for key in sorted(models, key=lambda key: key.count("."), reverse=True):  # a whole replaces its parts
        path, model = tuple(key.split(".")), _model(models[key])
        if model is None:
            continue
        value = _lookup(parameters, path)
        if value is None:
            close = difflib.get_close_matches(path[0], list(parameters), n=1)
            hint = f"; did you mean '{path[0]}' by '{close[0]}'?" if close else ""
            faults.append(f"{files.place(path)}: '{key}' is missing{hint}")
            continue
        try:
            _lookup(checked, path[:-1])[path[-1]] = model.model_validate(value)
        except ValidationError as error:
            faults += [_describe(fault, path, model, value, files) for fault in error.errors()]
    if faults:
        raise ConfigurationError("Wrong parameters:\n" + "\n".join(f"- {f}" for f in dict.fromkeys(faults)))
    return checked


def _describe(
    fault: Mapping[str, Any], prefix: FieldPath, model: type[BaseModel], value: Any, files: ParameterFiles
) -> str:
    """One fault of pydantic as a line for a user."""
    location = _real_location(fault["loc"], value)
    if fault["type"] in ("missing", "extra_forbidden"):
        location = (*_real_location(fault["loc"][:-1], value), str(fault["loc"][-1]))
    path = (*prefix, *location)
    dotted, place = ".".join(path), files.place(path)
    if fault["type"] == "extra_forbidden":
        siblings = _fields(model, location[:-1])
        return f"{place}: unknown key '{dotted}'{_suggestion(location[-1], set(siblings))}"
    description = _fields(model, location[:-1]).get(location[-1], "") if location else ""
    meaning = f" It is: {description}" if description else ""
    if fault["type"] == "missing":
        return f"{place}: '{dotted}' is missing; add it.{meaning}"
    shown = "" if isinstance(fault["input"], dict | list) else f" = {fault['input']!r}"
    message = fault["msg"].removeprefix("Value error, ").removesuffix(".")
    return f"{place}: {dotted}{shown}: {message}.{meaning}"


def _suggestion(name: str, known: set[str] | frozenset[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(sorted(known))}" if known else ""


def _model(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model an annotation `Model` or `Model | None` names."""
    for candidate in (annotation, *get_args(annotation)):
        if inspect.isclass(candidate) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _fields(model: type[BaseModel], location: FieldPath) -> dict[str, str]:
    """Names and descriptions of the fields at a location inside a model; empty where it is not a model's."""
    current: type[BaseModel] | None = model
    for part in location:
        if current is not None and part in current.model_fields:
            current = _nested_model(current.model_fields[part].annotation)
        elif not part.isdigit():
            return {}
    if current is None:
        return {}
    return {name: info.description or "" for name, info in current.model_fields.items()}


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `Model`, `list[Model]` or `Model | None`."""
    found = _model(annotation)
    if found is None:
        for argument in get_args(annotation):
            found = found or _nested_model(argument)
    return found


def _real_location(location: Sequence[Any], value: Any) -> FieldPath:
    """The parts of pydantic's location that exist in the value: it also names union branches."""
    path: list[str] = []
    for part in location:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, Mapping) and part in value):
            value = value[part]
            path.append(str(part))
    return tuple(path)


def _lookup(parameters: Mapping[str, Any], path: FieldPath) -> Any:
    value: Any = parameters
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _leaves(values: Mapping[str, Any], prefix: FieldPath = ()) -> Iterator[FieldPath]:
    for key, value in values.items():
        path = (*prefix, str(key))
        yield path
        if isinstance(value, Mapping):
            yield from _leaves(value, path)


def _places(file: Path, root: Path) -> Iterator[tuple[FieldPath, Place]]:
    """Every field of a YAML file with its line."""

    def walk(node: yaml.Node, path: FieldPath) -> Iterator[tuple[FieldPath, Place]]:
        children: list[tuple[str, yaml.Node, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            children = [(str(key.value), key, child) for key, child in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(str(index), child, child) for index, child in enumerate(node.value)]
        for name, mark, child in children:
            raw = child.value if isinstance(child, yaml.ScalarNode) else ""
            line = mark.start_mark.line + 1
            yield (*path, name), Place(f"{file.relative_to(root)}:{line}", raw)
            yield from walk(child, (*path, name))

    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file.relative_to(root)} is not valid YAML: {error}") from error
    if node is not None:
        yield from walk(node, ())
