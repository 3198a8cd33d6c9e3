"""Images made larger or smaller, and put together of their windows."""
