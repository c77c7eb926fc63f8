"""Bridges to other libraries, each behind its extra."""
