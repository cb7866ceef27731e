"""The tables and values that pages and the API show.

Holds the figures of `metrics` with their units, the health rules, the released bundle, federated
rounds and operating points. Depends on neither HTTP nor HTML.
"""
