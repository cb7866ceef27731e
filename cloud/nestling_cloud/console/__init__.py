"""The web console and the REST API.

`app` puts the pages, the API and access control together, `server` runs them. Reads figures from
`metrics`, sets targets through `control`, and imports nothing that trains.
"""
