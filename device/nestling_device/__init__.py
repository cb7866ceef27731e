"""Implements a device.

A device answers inputs within its budget, and sends the hard ones to the cloud.
"""
