"""The feed: who looks at a board is told what changes on it. Knows no sockets and no store, only :class:`Boards`."""
