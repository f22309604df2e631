"""From a promoted version to the one that answers, without a gap, and back again.

watcher   looks at the registry, and decides what to try when
checks    what a candidate must show on this machine before it may answer
switch    which model answers; swap, keep, go back, free
guard     looks at the new model's first minutes
shadow    lets a challenger see frames and never answer
verdicts  whose word lets a version serve
"""
