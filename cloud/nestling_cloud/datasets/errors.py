"""The error of folders with data."""

from nestling_cloud.errors import CloudError


class DatasetError(CloudError):
    """Raised when a folder or a table of labels cannot be used as the data of a task."""
