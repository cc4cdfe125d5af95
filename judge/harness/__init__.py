"""Benchmarks inside other people's evaluation harnesses: lmms-eval here, VLMEvalKit in `vlmeval`.

registration   `mmie` and `mmvu` become ours when lmms-eval starts (by way of after_import)
tasks          a benchmark as tasks of lmms-eval: documents, rows of the table, aggregation
deferred       answers wait until the model under test is gone, then are judged in one go per rank
session        the judge: checked before generation, loaded after it, results published
settings       what the environment says about judge, device, profile and files
replay_model   a model of lmms-eval that answers from a file; recorded says which line answers what
demo_model     a scripted model of lmms-eval for the bundled demo
"""
