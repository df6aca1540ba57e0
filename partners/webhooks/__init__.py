"""Webhooks to partners: where they may be sent, how one is sent, and the job that sends what is due."""
