"""A world small enough to bundle: pictures drawn from stamps, and a scripted model that reads them back.

Both benchmarks' demo sets are drawn with `judge.demo.drawing`. Nothing here is a measurement of anything: the demo
shows that every stage runs, offline, and what comes out of it.
"""
