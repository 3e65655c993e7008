"""What the insights floor does when something happened."""
