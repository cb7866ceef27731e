"""What devices report: Sparkplug B in, receipts stored, acknowledgements out."""
