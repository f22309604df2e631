"""isthmus: train driving-scene segmenters in simulation, run them on real streets.

The rooms are real folders at the root of the repository (`datasets`, `training`, `serving`, `protos`)
and are imported as `isthmus.<room>`. Importing the package imports none of them.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("isthmus")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+uninstalled"

__all__ = ["__version__"]
