"""Defender CNN-LSTM, a network for each coordinate."""
