"""Data sets packed into tar files in webdataset's form, and streamed from a disk or an object store.

`packing` writes them, `reader` is the data set that they are, `order` says which frame is drawn when, `streaming`
reads them so.
"""

from isthmus.datasets.shards.index import ShardIndex, read_index
from isthmus.datasets.shards.reader import Shards

__all__ = ["ShardIndex", "Shards", "read_index"]
