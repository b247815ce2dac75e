"""What runs in MiniStack's process and environment. Only `hooks` knows how MiniStack is made inside."""
