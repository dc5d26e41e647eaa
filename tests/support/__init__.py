"""What tests share: parts that stand for the world outside, and ways to start a server and to call it."""
