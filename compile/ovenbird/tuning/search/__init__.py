"""What is worth measuring next: spaces, searches, and which task's turn it is."""
