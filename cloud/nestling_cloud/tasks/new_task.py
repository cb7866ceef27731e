"""Makes a task file from a folder of pictures, sounds or recordings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nestling_cloud.atomic_file import SHARED, write_whole
from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.label_table import read_label_table
from nestling_cloud.datasets.listing import TABLE_NAME
from nestling_cloud.datasets.look import look
from nestling_cloud.datasets.proposal import Proposal, Wishes, propose, task_name
from nestling_cloud.datasets.survey import Survey, survey
from nestling_cloud.progress import Progress
from nestling_cloud.tasks.task import TaskError
from nestling_cloud.tasks.task_draft import TaskDraft, write_draft


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task file that is not written yet.

    Attributes:
        name: the name of the task.
        survey: what the folder holds, and how it is divided.
        proposal: what was decided about it.
        text: a function from the path of the file to its text, whose paths are relative to it.
    """

    name: str
    survey: Survey
    proposal: Proposal
    text: Callable[[Path], str]


def new_task(
    media: Media, folder: Path, wishes: Wishes, progress: Progress, name: str = ""
) -> NewTask:
    """Look at a folder, and decide what a task of it would be.

    A table `labels.csv` in the folder is used unless the user names a table or a pattern.

    Args:
        media: what the files of the folder hold.
        folder: the folder.
        wishes: what the user says about it.
        progress: the display, advanced for every file.
        name: the name of the task; "" for one like the folder's.

    Raises:
        DatasetError: the folder cannot be read, its labels are not found or do not fit what the
            user says, or it cannot be divided in three.
    """
    if wishes.table is None and not wishes.pattern and (folder / TABLE_NAME).is_file():
        wishes = replace(wishes, table=read_label_table(folder / TABLE_NAME))
    found = look(folder, media, progress)
    proposal = propose(found, wishes)
    surveyed = survey(found, proposal.plan, wishes.table, wishes.seed)
    draft = TaskDraft(
        name=name or task_name(folder.resolve().name),
        media=media,
        folder=folder,
        table=wishes.table.path if wishes.table is not None else None,
        proposal=proposal,
        inputs=surveyed.inputs("train"),
    )
    return NewTask(
        name=draft.name,
        survey=surveyed,
        proposal=proposal,
        text=lambda path: write_draft(draft, path),
    )


def save(task: NewTask, path: Path, *, replace: bool = False) -> None:
    """Write a task file.

    Args:
        task: the task.
        path: the file to write. A file with the same text is written again.
        replace: whether to overwrite an existing file whose text differs, for example because
            somebody edited it.

    Raises:
        TaskError: there is such a file and `replace` is false, or the file cannot be written.
    """
    data = task.text(path).encode()
    try:
        if path.exists() and path.read_bytes() != data and not replace:
            raise TaskError(
                f"{path} exists and says something else; use it as it is with --task {path}, name "
                "another file, or replace it with --force"
            )
        write_whole(path, data, folder_mode=SHARED)
    except OSError as err:
        raise TaskError(f"task file {path} cannot be written: {err.strerror or err}") from err
