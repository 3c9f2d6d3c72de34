"""Many runs, each a command in a process of its own, known by the files it leaves."""
