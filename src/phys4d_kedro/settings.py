"""Kedro's project settings; read by Kedro, see https://docs.kedro.org/en/stable/configure/configuration_basics/."""

import os

from phys4d_kedro.context import ProjectContext
from phys4d_kedro.hooks import ProjectHooks

# Nothing calls home: Kedro's telemetry (also refused in .telemetry) and Great Expectations' analytics.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

HOOKS = (ProjectHooks(),)
CONTEXT_CLASS = ProjectContext

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment holds only what differs from base, also inside a pipeline's parameters.
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
