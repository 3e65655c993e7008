"""What the campaigns floor does when something happened."""
