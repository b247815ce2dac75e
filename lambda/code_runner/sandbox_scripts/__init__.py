"""Scripts that run inside the sandbox, and the code that starts them."""
