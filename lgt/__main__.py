"""``python -m lgt``."""

from lgt.cli.main import main

if __name__ == "__main__":
    main()
