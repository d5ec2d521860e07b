"""The project's pipelines: every folder of `pipelines/`, grouped as the method's figure is, and the default one."""

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
    "world_suite",
    "simiq",
    "headlines",
    "reporting",
)

# What Kedro-Viz draws as one box until it is opened. A group may not be left and entered again along the flow.
GROUPS = {
    "simulation": "data.simulation",
    "ingestion": "data.ingestion",
    "pseudo_labeling": "data.pseudo_labels",
    "depth_estimator": "data.depth_estimator",
    "gallery": "data.gallery",
    "recording": "data.gallery_recording",
    "backbone": "world_model.backbone",
    "pretrain": "stage_1",
    "sft": "stage_2.finetuning",
    "appearance_control": "stage_2.appearance_control",
    "rl": "stage_3",
    "generation": "generation",
    "generation_recording": "generation.recording",
    "physics_iq_generation": "generation.physics_iq",
    "evaluation": "evaluation.heads",
    "comparison": "evaluation.comparison",
    "world_suite": "evaluation.world_suite",
    "comparison_recording": "evaluation.comparison_recording",
    "simiq": "evaluation.simiq",
    "physics_iq": "evaluation.physics_iq",
    "headlines": "report.headlines",
    "reporting": "report",
}


def register_pipelines() -> dict[str, Pipeline]:
    """All pipelines by name. Kedro may ask for some alone (`kedro run --pipelines=...`)."""
    found = find_pipelines(raise_errors=True)
    pipelines = {name: _grouped(name, pipeline) for name, pipeline in found.items() if name != "__default__"}
    if "__default__" in found:
        pipelines["__default__"] = sum((pipelines[name] for name in DEFAULT_PIPELINES), Pipeline([]))
    return pipelines


def _grouped(name: str, pipeline: Pipeline) -> Pipeline:
    """The pipeline inside its group, tagged with its name; data sets and parameters keep their names."""
    return Pipeline(pipeline, namespace=GROUPS.get(name, name), prefix_datasets_with_namespace=False, tags=name)
