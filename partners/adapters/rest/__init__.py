"""Partners with developers: `pulled` for those who call our partner API and hear our webhooks, `server` for those who
run a server of our partner-side protocol (docs/partner-server.json)."""
