r"""What symmetry breaking costs in data (paper, Section 6): risks by enumeration, in closed form, and of networks.

The task is small enough to be exact: patterns x on the corners of a square, under the eight symmetries of the square
(:mod:`~sympe.experiments.generalization.task`). A pattern of symmetries :math:`G_x` has :math:`|G_x| / |G_x \cap G_y|`
equally right answers y, and one of them is in the data.

- *exact*: :math:`R(f) - R(Qf) = \|f - Qf\|^2`, by enumeration and by samples
  (:mod:`~sympe.experiments.generalization.gap`);
- *linear*: the expected risk of least squares against the number of samples, in closed form and by simulation, for
  encodings of more and more entropy (:mod:`~sympe.experiments.generalization.linear`);
- *network*: the same ladder with small networks (:mod:`~sympe.experiments.generalization.network`).

Every row knows the target of its training pairs in one way: g is drawn from the coupled kernel (METHOD, "coupling"),
in training and in the test, and the loss is the squared error. Without coupling g and y are independent given x, and
all encodings have the risk of none.
"""
