"""How one input is answered.

`agent` takes an input from the multiplexer to a receipt; `policy` holds the pure rules that decide
where it runs; `offloader` asks the cloud. Limits, targets, drift and costs are here too. Imports
`bundle`, `delivery`, `energy` and `transport`.
"""
