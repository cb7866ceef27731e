import pytest

from nestling_core.network.flower_environment import flower_environment


def test_environment_turns_off_usage_reports_and_update_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")  # as a caller may have set it
    monkeypatch.setenv("PYTHONINSPECT", "1")
    monkeypatch.delenv("FLWR_DISABLE_UPDATE_CHECK", raising=False)

    variables = flower_environment()

    assert (variables["FLWR_TELEMETRY_ENABLED"], variables["FLWR_DISABLE_UPDATE_CHECK"]) == (
        "0",
        "1",
    )
    assert "PYTHONINSPECT" not in variables
