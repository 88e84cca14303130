"""Damage, tampering and interruptions: what the product must notice."""
