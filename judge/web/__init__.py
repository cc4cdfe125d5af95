"""What the local pages share: `mmjudge annotate` and `mmjudge view` are each a `Site` on a `Server`.

    pages       what a site is made of: files, and functions that answer a call
    app         a site as a starlette application, behind a gate that knows who may ask
    server      the application on uvicorn: this machine's loopback address and nowhere else, until Ctrl-C
    pictures    what of an image file gets to the browser

A site knows neither starlette nor uvicorn; both are imported when a server starts (the extra `view`).
"""
