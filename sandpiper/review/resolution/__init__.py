"""Replaces intrinsic functions by text: values that only a deployment knows become symbols or invented names."""
