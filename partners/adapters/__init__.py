"""One folder a partner's interface: manifest, adapter (I/O), mapping (pure), recorded payloads."""
