"""Small clients that say exactly what a test tells them to, over sockets. They know no test and no server."""
