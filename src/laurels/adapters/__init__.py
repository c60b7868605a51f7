"""Ways for requests to come in: thin skins over :mod:`laurels.http`."""
