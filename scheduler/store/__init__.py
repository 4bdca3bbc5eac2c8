"""Where the rooms' tables live: connections, sealed secrets, migrations, embedded servers."""
