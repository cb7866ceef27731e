import pytest

from nestling_device.doctor.finding import FailedCheckError, failing
from nestling_device.errors import DeviceError


def test_failed_check_reports_an_errors_problem_and_advice() -> None:
    with pytest.raises(FailedCheckError) as caught, failing("disk"):
        raise DeviceError("a; b", advice="do this")

    assert (caught.value.finding.found, caught.value.finding.advice) == ("a; b", "do this")
    assert str(caught.value) == "a; b; do this"
