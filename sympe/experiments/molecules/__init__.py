"""Discrete diffusion of molecules (Section 8.2 of the paper): QM9 and MOSES as graphs of typed atoms and bonds."""
