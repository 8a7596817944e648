"""``python -m llamaindex_vecx`` is the ``vecx`` command."""

from llamaindex_vecx.cli import main

if __name__ == "__main__":
    main()
