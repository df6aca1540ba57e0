Real time: the Centrifuge client protocol over WebSocket, who hears what, and the reads that clients load.
"""
