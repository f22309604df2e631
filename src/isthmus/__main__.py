"""`python -m isthmus` is the `isthmus` command."""

from isthmus.cli import main

if __name__ == "__main__":
    main()
