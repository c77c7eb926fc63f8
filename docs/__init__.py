"""The documentation: pages, and the scripts that run, draw and convert them."""
