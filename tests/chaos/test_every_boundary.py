"""The short form of every_boundary: a handful of places, other ones in each part of the run, on both stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.every_boundary import Ground, killed_and_gone_on, undisturbed

PLACES = 4


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_a_run_with_a_step_of_every_kind_comes_out_the_same_however_its_worker_is_killed(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    ground = Ground(request.getfixturevalue("postgres_server") if kind == "postgresql" else None)
    run_id = ground.prepare(tmp_path / "template")
    wanted, statements = undisturbed(ground, tmp_path / "template", run_id)
    assert wanted["run"][0] == "completed" and wanted["told"] and not wanted["left"]
    for place in range(1, PLACES + 1):
        kill_at = statements * place // (PLACES + 1)
        found = killed_and_gone_on(ground, tmp_path / "template", run_id, kill_at)
        assert found == wanted, f"killed before statement {kill_at} of {statements}"
