"""What cloud and device agree on: the protos, and the little code that belongs beside them."""
