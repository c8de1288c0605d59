"""The Defender CNN-LSTM, version 1.0.0; `manifest.toml` says what it is and how it was made."""
