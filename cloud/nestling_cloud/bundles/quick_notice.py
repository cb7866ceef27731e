"""Contains the notice that is shown with a bundle that was trained with `--quick`."""

QUICK_NOTICE = (
    "QUICK, trained on a sample of the data for a few epochs, to try everything. Its accuracies "
    "say nothing about the task; train it without --quick before you use it."
)
