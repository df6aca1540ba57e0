"""Evidence: uploads on bad lines, photos and outlines as they are read, likeness across partners, packs."""
