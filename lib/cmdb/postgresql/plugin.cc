#include "fastcontainer/cmdb_plugin.h"
#include "lib/cmdb/postgresql/postgres.h"

FASTCONTAINER_CMDB_PLUGIN(fastcontainer::PostgresCmdb::Open)
