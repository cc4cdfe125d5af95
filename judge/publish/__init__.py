"""One results folder onto the Hugging Face Hub: `mmjudge publish RESULTS --model ORG/NAME`.

    ready         what may be published: finished, whole, scored, and following from its verdicts
    entries       `.eval_results/mmvu.yaml` of the model's repository, one entry a headline number
    model_index   the same numbers in the metadata of the model's README.md
    details       verdicts, responses, results and report, for a dataset repository
    plan          what is sent where, and the diff to what is there
    dataset_folder  training data as a dataset of its own: `mmjudge publish FOLDER --dataset ORG/NAME`
    hub           what is read from and sent to the Hub, and what is said when that fails

Nothing is sent without `--push`. What others wrote is kept; where it is in the way, nothing is sent at all.
"""
