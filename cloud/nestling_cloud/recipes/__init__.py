"""What a task may choose of how it is learned: plain values, checked where they are made."""
