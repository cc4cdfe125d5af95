"""How an answer is read: `clean` takes away what is not the answer, `languages` says which words count, `tokens`,
`grammar` and `statements` read what is said of each letter, `option_texts` finds repeated option texts."""
