"""Defender CNN-LSTM with social pooling over the other defensive backs."""
