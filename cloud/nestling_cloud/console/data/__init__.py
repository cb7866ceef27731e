"""Provides the tables and values that the pages and the API show.

These are the figures of `metrics` with their units, the findings of the health rules, the released
bundle, federated rounds and operating points. The package depends on neither HTTP nor HTML.
"""

__all__ = [
    "chart_tables",
    "console_data",
    "copied_state",
    "energy_saved",
    "expectation",
    "guarantee",
    "health",
    "live_figures",
    "operating_point",
    "released_bundle",
    "rounds",
    "serving_table",
    "stored_rounds",
    "table",
    "time_spans",
    "units",
]
