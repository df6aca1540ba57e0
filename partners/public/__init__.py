"""The public registry: pages, data and exports of what was promised, done and proven. It only reads, and never tells of
a person, a price or a test."""
