"""What tests share: real servers, real client SDKs and a network that can be made bad. Knows nothing of the game."""
