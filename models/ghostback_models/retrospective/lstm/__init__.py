"""A simple LSTM, tiled: the baseline of the paper."""
