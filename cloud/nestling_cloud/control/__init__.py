"""What the operator asks of devices, and how they learn of it.

`targets` stores the target shares, `commander` sends them and the desired bundle to devices,
`pending` decides what each device still has to be told. Imports `store`, `fleet`, `bundles` and
`telemetry`.
"""
