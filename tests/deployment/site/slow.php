<?php
// Notes each execution, takes its time, then tells where it ran. With `begin`, that much of the page comes before.
if (isset($_GET['begin'])) {
    while (ob_get_level() > 0) ob_end_flush();
    echo $_GET['begin'], "\n";
    flush();
}
$line = $_SERVER['REQUEST_METHOD'] . ' ' . ($_GET['id'] ?? '-') . ' ' . $_SERVER['SERVER_ADDR'] . "\n";
file_put_contents(getenv('RUN') . '/executions', $line, FILE_APPEND | LOCK_EX);
usleep((int)(1e6 * (float)($_GET['seconds'] ?? 0)));
echo $_SERVER['SERVER_ADDR'], "\n";
