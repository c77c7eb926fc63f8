"""Ising ground states (paper, Section 5.3): from couplings to spins, trained on the energy itself.

A p4m-equivariant network maps the couplings and the field of a periodic Ising model to spins. Without symmetry
breaking it can only give uniform states for uniform couplings; stripes and checkerboards need it.
"""
