"""``python -m fhirsvc.cli``: the same as ``fhirsvc``."""

from fhirsvc.cli import main

if __name__ == "__main__":
    main(prog_name="fhirsvc")
