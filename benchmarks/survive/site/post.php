<?php
// Notes each POST that arrives whole, then acknowledges it: what stands twice in $RUN/posts was sent twice.
$bytes = strlen(file_get_contents('php://input'));
file_put_contents(getenv('RUN') . '/posts', $_GET['id'] . ' ' . $bytes . ' ' . $_SERVER['SERVER_ADDR'] . "\n",
                  FILE_APPEND | LOCK_EX);
echo $_GET['id'], ' ', $bytes, "\n";
