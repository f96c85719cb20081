<?php
// A download that takes its time: a line each 100 ms.
while (ob_get_level() > 0) ob_end_flush();
$lines = (int)(10 * (float)($_GET['seconds'] ?? 1));
for ($i = 1; $i <= $lines; ++$i) {
    usleep(100000);
    echo "line $i of $lines\n";
    flush();
}
