"""Extras: what an app may want, and no other room imports: a file or folder each, documented at its top."""
