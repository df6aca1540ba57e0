"""PURE: who of a partner's staff may use the portal, and what lies there for them."""
