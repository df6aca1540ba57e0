"""Real time: frames, sessions, hub and socket, alone and with the engine behind them."""
