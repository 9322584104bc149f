"""report.html: one file, no scripts, nothing loaded from elsewhere."""
