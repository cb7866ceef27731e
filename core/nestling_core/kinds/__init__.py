"""Says what an answer is in each kind of task, and when an answer is right.

A task has one of four kinds: single-label, multi-label, regression or anomaly. The kind turns the
outputs of a model into an answer, gives the answer a form for receipts and a text for people, and
judges it against a reference. Routing, the guarantee and all figures know of an answer only
whether it succeeds. The functions are pure. The package imports the messages in `nestling`.
"""

__all__ = ["anomaly", "kind", "labels", "of_signature", "regression"]
