"""Whole apps: what a small service looks like when it is done."""
