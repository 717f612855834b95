"""What others offer for download -> files on this machine, checked and unpacked once."""
