"""`python -m activation_oracles.cli` is `ao`, for launchers, which take a module."""

import sys

from activation_oracles.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
