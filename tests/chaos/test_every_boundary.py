"""The short form of every_boundary: a handful of places, other ones in each part of the run."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.every_boundary import killed_and_gone_on, prepare, undisturbed

PLACES = 4


def test_a_run_with_a_step_of_every_kind_comes_out_the_same_however_its_worker_is_killed(tmp_path: Path) -> None:
    run_id = prepare(tmp_path / "template")
    wanted, statements = undisturbed(tmp_path / "template", run_id, tmp_path / "plain")
    assert wanted["run"][0] == "completed" and wanted["told"] and not wanted["left"]
    for place in range(1, PLACES + 1):
        kill_at = statements * place // (PLACES + 1)
        found = killed_and_gone_on(tmp_path / "template", run_id, kill_at, tmp_path / f"at-{kill_at}")
        assert found == wanted, f"killed before statement {kill_at} of {statements}"
