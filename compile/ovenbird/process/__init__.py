"""What a command does besides its work: it reports, heeds signals, and keeps what may end a process in children."""
