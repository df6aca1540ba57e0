"""What tests share: real servers, real client SDKs, a bad network. Knows nothing of the game."""
