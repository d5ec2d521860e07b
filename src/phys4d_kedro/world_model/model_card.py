"""Model cards: what weights were made from, by what, and how good they are, as the README.md of their folder."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Licence(BaseModel):
    """A licence by the hub's identifier; `other` has a name and a link."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, description="The hub's identifier: apache-2.0, mit, other, ...")
    name: str | None = Field(None, description="Of a licence that is `other`.")
    link: str | None = Field(None, description="Of a licence that is `other`.")

    @model_validator(mode="after")
    def _check_other(self) -> "Licence":
        if self.id == "other" and not (self.name and self.link):
            raise ValueError("a licence that is `other` needs a name and a link")
        return self


_APACHE = Licence(id="apache-2.0")
_COGVIDEOX = Licence(
    id="other", name="cogvideox-license", link="https://huggingface.co/THUDM/CogVideoX-5b/blob/main/LICENSE"
)
# By how the lower-case name begins; the 5B models alone have a licence of their own.
_LICENCES = {
    "wan-ai/": _APACHE,
    "thudm/cogvideox-2b": _APACHE,
    "zai-org/cogvideox-2b": _APACHE,
    "thudm/cogvideox-5b": _COGVIDEOX,
    "zai-org/cogvideox-5b": _COGVIDEOX,
    "hpcai-tech/open-sora": _APACHE,
    "hpcai-tech/opensora-": _APACHE,
}


def known_licence(base: str) -> Licence | None:
    """The licence of a base by its hub id, or of this project's nano backbones by their folder; None: not known."""
    if Path(base).name.startswith("nano_"):
        return _APACHE
    return next((licence for begin, licence in _LICENCES.items() if base.lower().startswith(begin)), None)


class ModelCard(BaseModel):
    """What only the maker of the weights knows of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1, description="Of the model.")
    base: str = Field(min_length=1, description="The model that was trained: a hub id, or a folder.")
    base_licence: Licence | None = Field(None, description="Null: what is known of the base.")
    data: str = Field(min_length=1, description="What it learned from.")
    seeds: tuple[int, ...] = Field(min_length=1, description="Of data and training.")
    metrics: tuple[dict[str, str | int | float], ...] = Field((), description="Rows of a table, all of the same keys.")
    command: str = Field(min_length=1, description="What makes these weights again.")

    @model_validator(mode="after")
    def _check(self) -> "ModelCard":
        if self.base_licence is None and known_licence(self.base) is None:
            raise ValueError(f"the licence of '{self.base}' is not known: give base_licence")
        if len({tuple(row) for row in self.metrics}) > 1:
            raise ValueError("rows of metrics must have the same keys, in the same order")
        return self

    @property
    def licence(self) -> Licence:
        """Of the base, and so of the weights."""
        licence = self.base_licence or known_licence(self.base)
        assert licence is not None
        return licence


def write_model_card(
    folder: Path,
    card: ModelCard,
    *,
    kind: Literal["adapter", "finetune"],
    method: str,
    pipeline: type,
    image_to_video: bool,
) -> None:
    """Write README.md into the folder of weights.

    Args:
        method: a few words on how the weights differ from the base ("LoRA of rank 8, alpha 16").
        pipeline: the class that loads them.
        image_to_video: whether it takes a first frame.
    """
    task = "image-to-video" if image_to_video else "text-to-video"
    library = pipeline.__module__.partition(".")[0]
    head: dict[str, object] = {"license": card.licence.id}
    if card.licence.id == "other":
        head |= {"license_name": card.licence.name, "license_link": card.licence.link}
    if card.base.count("/") == 1 and not Path(card.base).is_dir():  # the hub takes nothing but its own ids
        head |= {"base_model": card.base, "base_model_relation": kind}
    tags = ["phys4d-kedro", "world-model", *(["lora"] if kind == "adapter" else [])]
    head |= {"library_name": library, "pipeline_tag": task, "tags": tags}
    front = yaml.safe_dump(head, sort_keys=False)
    text = f"---\n{front}---\n{_body(card, kind=kind, method=method, pipeline=pipeline)}"
    (folder / "README.md").write_text(text, encoding="utf-8")


def _body(card: ModelCard, *, kind: str, method: str, pipeline: type) -> str:
    licence = f"[{card.licence.name}]({card.licence.link})" if card.licence.id == "other" else card.licence.id
    source, adapter = (card.base, '\npipeline.load_lora_weights(".")') if kind == "adapter" else (".", "")
    return f"""# {card.title}

{method}, of `{card.base}`.

```python
from {_public_module(pipeline)} import {pipeline.__name__}

pipeline = {pipeline.__name__}.from_pretrained("{source}"){adapter}  # "." is this folder
```

- **Base:** `{card.base}`; its licence, and so that of these weights: {licence}.
- **Learned from** {card.data}
- **Seeds:** {", ".join(map(str, card.seeds))}
- **Made by**

```
{card.command}
```

## Scores

{_table(card.metrics)}
"""


def _public_module(pipeline: type) -> str:
    return "diffusers" if pipeline.__module__.startswith("diffusers.") else pipeline.__module__


def _table(rows: tuple[dict[str, str | int | float], ...]) -> str:
    if not rows:
        return "None were measured."
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", r"\|")
