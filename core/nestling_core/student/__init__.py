"""The nested student as a torch network, for who trains it: the cloud, and a device that may.

Needs torch, which the base install lacks: nothing that a device runs imports this package, but for
`nestling_device.federated`.
"""
