"""A second implementation of ``teapot/1``, which shares no code with the product."""
