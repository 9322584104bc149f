"""SavedModel export with the front end inside."""
