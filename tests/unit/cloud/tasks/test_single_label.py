import pytest

from nestling_cloud.tasks.single_label import require_single_label
from nestling_cloud.tasks.task import TaskError
from tests.support.kind_tasks import REGRESSION
from tests.support.tiny_task import TINY_TASK


def test_task_of_another_kind_is_refused_with_its_kind() -> None:
    require_single_label(TINY_TASK, "federated learning")

    with pytest.raises(TaskError, match=r"federated learning works only .* kind 'regression'"):
        require_single_label(REGRESSION, "federated learning")
