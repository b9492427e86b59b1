"""`python -m kissapi` and the command `kissapi`: see `kissapi.cli.main`."""

import sys

from kissapi.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
