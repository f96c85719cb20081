#include "fastcontainer/cmdb_plugin.h"
#include "lib/cmdb/etcd/etcd.h"

FASTCONTAINER_CMDB_PLUGIN(fastcontainer::EtcdCmdb::Open)
