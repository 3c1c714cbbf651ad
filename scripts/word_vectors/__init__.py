"""The recorded runs of chapter 5: counting, training, judging, and the equivalence."""
