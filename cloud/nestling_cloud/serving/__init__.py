"""What devices call: inference for offloaded inputs, delivery of bundles."""
