#!/bin/sh
# Starts the web server as a container, after a line in $RUN/starts: so the tests count starts without asking the library.
echo "$CONTAINER $ADDRESS $PORT" >> "$RUN/starts"
[ -z "$START_DELAY" ] || sleep "$START_DELAY"
# In a user namespace there is no second user that Apache's root could become: let it be a plain user from the start.
[ -z "$NESTED_USER" ] || exec unshare --user --map-user=1000 --map-group=1000 apache2 -DFOREGROUND -f "$CONF"
exec apache2 -DFOREGROUND -f "$CONF"
