"""Networks in torch: the default teachers and the multiplexer."""
