"""docs/suite.md has a row a metric, which says what the code says."""

import re
from pathlib import Path

from phys4d_kedro.evaluation.suite import SUITE_METRICS

DOCUMENT = Path(__file__).parents[3] / "docs/suite.md"


def test_every_metric_has_its_row_with_direction_and_needs() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (lower|higher) \| (\w+) \| [^|]+ \|$", DOCUMENT.read_text(), re.MULTILINE)
    expected = [
        (name, "higher" if metric.higher_is_better else "lower", metric.needs) for name, metric in SUITE_METRICS.items()
    ]
    assert rows == expected
