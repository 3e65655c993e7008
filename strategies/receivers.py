"""What this floor does when something happened: new figures are judged, a change's fate closes its proposal."""
