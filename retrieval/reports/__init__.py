"""What an evaluation found, and every form in which it is shown or written."""
