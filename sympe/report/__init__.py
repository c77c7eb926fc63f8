r"""How symmetric is this data, and how well can an equivariant model do on it at all?

An equivariant function keeps every symmetry of its input: f(x) is constant on the orbits of the stabilizer G_x, on the
nodes of a graph, on its pairs of nodes, or on the sites of a lattice. So no *deterministic* equivariant model can fit
targets that vary inside an orbit. With orbits :math:`o \subset x` and targets :math:`y_i` its loss is at least

.. math:: \frac{1}{n} \sum_o \sum_{i \in o} |y_i - \bar y_o|^2 \qquad \text{(squared error)}, \qquad
   \frac{1}{n} \sum_o |o|\, H(y_o) \qquad \text{(cross-entropy)},

the variance, or the entropy H of the classes, inside orbits. Where that is above 0, symmetries must be broken. (The
floor is that of one input by itself. A model may do worse, for other reasons: refinement may not tell nodes apart
that no automorphism exchanges.)

Targets of whole graphs are invariant and have no such floor.

Every column of classes is a target of its own. The columns of floats are one target, a vector, whose squared error is
summed over them. An orbit's floats count as equal if they differ by rounding alone, or by a millionth of what their
column varies.
"""

from sympe.report.floors import Floor, node_floor
from sympe.report.inputs import Bad, CloudInput, GraphInput, LatticeInput, Spread
from sympe.report.look import entry_orbits, pair_orbits, symmetry_report
from sympe.report.summary import SymmetryReport

__all__ = [
    "Bad",
    "CloudInput",
    "Floor",
    "GraphInput",
    "LatticeInput",
    "Spread",
    "SymmetryReport",
    "entry_orbits",
    "node_floor",
    "pair_orbits",
    "symmetry_report",
]
