"""Host names, addresses and proxies: read in one place, written in one way."""
