"""Print all ratios: ``python -m benchmarks``."""

from benchmarks import encoding_cost, orbit_kernel

if __name__ == "__main__":
    for section in (orbit_kernel, encoding_cost):
        print(section.__doc__)
        print()
        section.main()
        print()
