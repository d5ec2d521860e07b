"""The project's pipelines: every folder of `pipelines/`, and the one `kedro run` takes without a name."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

# In the order in which their data flows.
DEFAULT_PIPELINES = (
    "simulation",
    "ingestion",
    "pseudo_labeling",
    "backbone",
    "pretrain",
    "sft",
    "appearance_control",
    "rl",
    "generation",
    "evaluation",
    "comparison",
    "reporting",
)


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name. Kedro may ask for some alone (`kedro run --pipelines=...`)."""
    pipelines = find_pipelines(raise_errors=True)
    if "__default__" in pipelines:
        pipelines["__default__"] = sum((pipelines[name] for name in DEFAULT_PIPELINES), Pipeline([]))
    return pipelines
