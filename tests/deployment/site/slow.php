<?php
// Notes each execution, takes its time, then tells where it ran.
$line = $_SERVER['REQUEST_METHOD'] . ' ' . ($_GET['id'] ?? '-') . ' ' . $_SERVER['SERVER_ADDR'] . "\n";
file_put_contents(getenv('RUN') . '/executions', $line, FILE_APPEND | LOCK_EX);
usleep((int)(1e6 * (float)($_GET['seconds'] ?? 0)));
echo $_SERVER['SERVER_ADDR'], "\n";
