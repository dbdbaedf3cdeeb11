"""How fast this machine is by the benchmark that devices were measured with, and the share that equals one.

`seven_zip` runs 7-zip's own benchmark, `bundled` one of Python's lzma that is related to it; `store` has the
results by CPU model, `measuring` chooses, and `shares` turns a rating into a share of a core. Ratings are by
CPU time, so that other work on the machine hardly changes them.
"""
