"""The console in the browser and the REST API: one web server over the store's figures."""
