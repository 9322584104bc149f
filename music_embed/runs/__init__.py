"""One keyword-only function per command; the only importer of gin."""
