"""The local engine: worker processes, ranges, buckets, and what can happen to them."""
