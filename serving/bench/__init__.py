"""`isthmus bench serve`: an open-loop load generator, its scenarios, the bare loop as the limit, and peers.

`tally` and `schedule` are arithmetic. `load` says what vehicles do, `vehicles` does it, `generator` runs it in a
process of its own. `targets` starts what is measured; `scenarios`, `disturbances` and `endurance` measure; `report`
and `plot` tell.
"""
