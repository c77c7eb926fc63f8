"""Print all ratios: ``python -m benchmarks``."""

from benchmarks import (
    canonicalized,
    egnn,
    encoding_cost,
    graph_cost,
    graph_kernel,
    graph_transformer,
    orbit_kernel,
    point_kernel,
    rmsd,
)

if __name__ == "__main__":
    for section in (
        orbit_kernel,
        encoding_cost,
        canonicalized,
        graph_kernel,
        point_kernel,
        graph_cost,
        rmsd,
        egnn,
        graph_transformer,
    ):
        print(section.__doc__)
        print()
        section.main()
        print()
