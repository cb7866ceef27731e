"""What pages and API show, as tables and values.

Figures from `metrics` with their units, the health rules, the released bundle, federated rounds and
operating points. Knows neither HTTP nor HTML.
"""
