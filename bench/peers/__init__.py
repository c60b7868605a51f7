"""What Laurels is measured against."""
