"""The folder of our tasks; ``llada_eval.held_out`` makes their instances."""
