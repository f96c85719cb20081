// A shared object that is no driver.
extern "C" __attribute__((visibility("default"))) int fastcontainer_cmdb_hollow() { return 0; }
