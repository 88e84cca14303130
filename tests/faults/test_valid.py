"""What the product composes, it validates and rebuilds: no check may refuse a set that is right."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings

from teapot.engine.planning import Options
from teapot.errors import TeapotError
from teapot.verbs.compose import compose
from teapot.verbs.rebuild import rebuild
from teapot.verbs.validate import validate
from tests.reference.mixes import any_weight, mixes
from tests.reference.naive import Mix
from tests.reference.project import write_project

PROVES = "G1"

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(mixes(any_weight()))
def test_what_is_composed_is_valid(mix: Mix) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        config, output = write_project(root, mix), root / "out.jsonl"
        try:
            compose(config, Options(environ={}), output)
        except TeapotError:
            event("refused")
            return
        report = validate(output, project=root)
        report.raise_if_failed()
        rebuild(report, output, Options(project=root, environ={}))
        report.raise_if_failed()
