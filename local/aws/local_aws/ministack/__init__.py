"""What runs in MiniStack's process and environment. Only `patches` knows how MiniStack is made inside."""
