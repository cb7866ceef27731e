"""The fleet as it is and as it is wished: what devices report, what the console asks of them."""
