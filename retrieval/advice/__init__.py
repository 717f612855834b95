"""What keeps people from wrong conclusions: checks, choices, and sentences on what is noise."""
