"""Defender CNN-LSTM, both coordinates jointly."""
