"""Real time: the Centrifuge client protocol over WebSocket, who hears what, and what clients load."""
