"""The tables and values that pages and the API show.

Holds the figures of `metrics` with their units, the health rules, the released bundle, federated
rounds and operating points. Depends on neither HTTP nor HTML.
"""

__all__ = [
    "chart_tables",
    "console_data",
    "copied_state",
    "energy_saved",
    "expectation",
    "health",
    "live",
    "operating_point",
    "released_bundle",
    "rounds",
    "stored_rounds",
    "table",
    "time_spans",
    "units",
]
