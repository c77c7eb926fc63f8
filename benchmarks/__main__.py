"""Print all ratios: ``python -m benchmarks``."""

from benchmarks import (
    canonicalized,
    egnn,
    encoding_cost,
    graph_cost,
    graph_kernel,
    graph_transformer,
    graph_transformer_parts,
    images,
    orbit_kernel,
    point_kernel,
    regular_graphs,
    rmsd,
)

if __name__ == "__main__":
    kernels = (orbit_kernel, images, graph_kernel, graph_cost, regular_graphs, point_kernel)
    for section in (*kernels, rmsd, encoding_cost, canonicalized, egnn, graph_transformer, graph_transformer_parts):
        print(section.__doc__)
        print()
        section.main()
        print()
