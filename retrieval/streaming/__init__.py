"""Matrices gone through in bands and tiles, never whole, and what is gathered from them."""
