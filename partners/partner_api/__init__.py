"""The partner API: what a partner with developers of its own calls. It decides nothing; see `partners/core`."""
