"""The Ray engine with Ray itself: ``make test-ray``."""
