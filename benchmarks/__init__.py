"""Side-by-side ratios: every claim of speed is a ratio of two things timed in turn in one run."""
