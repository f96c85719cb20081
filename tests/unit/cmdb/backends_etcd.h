// etcd, by the driver that OpenCmdb() loads.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_ETCD_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_ETCD_H_

#include <memory>
#include <string>

#include "tests/unit/cmdb/backend.h"
#include "tests/unit/cmdb/cmdb_fixture.h"
#include "tests/unit/cmdb/etcd/etcd_server.h"

namespace fastcontainer {

class EtcdBackend final : public CmdbBackend {
 public:
  std::string name() const override { return "etcd"; }
  absl::Status Start() override {
    if (!etcd::Cluster::Installed()) return absl::NotFoundError("etcd is not installed");
    cluster_ = std::make_unique<etcd::Cluster>(1);
    const std::unique_ptr<EpollReactor> reactor = EpollReactor::Create().value();
    const absl::StatusOr<std::unique_ptr<Cmdb>> cmdb = OpenCmdb(cluster_->url(), *reactor);
    if (!cmdb.ok()) return cmdb.status();
    return etcd::AwaitStore(*reactor, **cmdb) ? absl::OkStatus()
                                              : absl::UnavailableError("etcd does not start");
  }
  Place Fresh() override { return {cluster_->url(), "/test-" + std::to_string(++places_) + "/"}; }
  // Half as much again as its election takes, in whole seconds.
  Nanos ShortestLease() const override { return 2 * kSecond; }

 private:
  std::unique_ptr<etcd::Cluster> cluster_;
  int places_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_ETCD_H_
