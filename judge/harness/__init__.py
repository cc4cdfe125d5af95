"""Benchmarks inside other people's evaluation harnesses. lmms-eval 0.7 is the first.

registration   `mmie` and `mmvu` become ours when lmms-eval starts
tasks          a benchmark as an lmms-eval task: documents, metric rows, aggregation
deferred       answers wait until the model under test is gone, then are judged in one go per rank
settings       what the environment says about judge, device, profile and files
replay_model   an lmms-eval model that answers from a file
"""
