// PostgreSQL, by the driver that OpenCmdb() loads.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_POSTGRESQL_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_POSTGRESQL_H_

#if FASTCONTAINER_TEST_POSTGRESQL

#include <memory>
#include <string>

#include "tests/unit/cmdb/backend.h"
#include "tests/unit/cmdb/postgresql/postgres_server.h"

namespace fastcontainer {

class PostgresBackend final : public CmdbBackend {
 public:
  std::string name() const override { return "postgresql"; }
  absl::Status Start() override {
    server_ = std::make_unique<postgresql::Server>();
    return server_->Create();
  }
  Place Fresh() override { return {server_->Url("schema=test_" + std::to_string(++schemas_)), ""}; }
  Nanos ShortestLease() const override { return 100 * kMillisecond; }

 private:
  std::unique_ptr<postgresql::Server> server_;
  int schemas_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TEST_POSTGRESQL

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_POSTGRESQL_H_
