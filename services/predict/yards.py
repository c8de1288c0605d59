"""What a model of the task `yards-after-catch` says of passes."""

OUTPUT = "probability"
"""The tensor with which it answers: (n_rows, `N_YARDS`), of whole yards from `FIRST_YARDS` on."""
FIRST_YARDS = -10
N_YARDS = 101
AIR_YARDS = 0
"""Column of the measurements that holds the yards in the air."""
