"""What a model under test on transformers attends to: which part of a picture, and how that goes with its answers.

families     where the tokens of a picture stand in the prompt, and which part of the picture each one covers
prompt       a question and its picture as the model reads them: token ids, the question's tokens, segments
probe        rows of the attention of chosen layers, read while the model runs; nothing else is kept
refinement   visual attention refinement: the picture, brighter where the model did not attend
choices      multiple-choice questions as a benchmark hands them to the analysis
measure      one forward pass a question: letter probabilities and attention shares
analysis     all questions of a benchmark, a line each, resumable
tables       positive against negative questions, with intervals
plots        the same as pictures, with heat maps
"""
