"""Who waits, who runs, with whom: pure decisions, told the time by their caller.

Nothing here knows of gRPC, threads, futures or pixels; `serving.dispatcher` carries the decisions out.
"""
