"""Print all ratios: ``python -m benchmarks``."""

from benchmarks import (
    canonicalized,
    egnn,
    encoding_cost,
    graph_cost,
    graph_kernel,
    graph_transformer,
    images,
    orbit_kernel,
)

if __name__ == "__main__":
    sections = (orbit_kernel, images, encoding_cost, canonicalized, graph_kernel, graph_cost, egnn, graph_transformer)
    for section in sections:
        print(section.__doc__)
        print()
        section.main()
        print()
