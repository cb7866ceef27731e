"""What device and cloud both compute about receipts and about a host's STATE."""
