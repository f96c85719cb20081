// The stores without a server.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_LOCAL_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_LOCAL_H_

#include <string>

#include "tests/unit/cmdb/backend.h"
#include "tests/unit/cmdb/cmdb_fixture.h"

namespace fastcontainer {

class MemoryBackend final : public CmdbBackend {
 public:
  std::string name() const override { return "memory"; }
  Place Fresh() override { return {"memory:conformance-" + std::to_string(++stores_), ""}; }

 private:
  int stores_ = 0;
};

class SqliteBackend final : public CmdbBackend {
 public:
  std::string name() const override { return "sqlite"; }
  Place Fresh() override { return {"sqlite:" + folder_.File(std::to_string(++files_) + ".sqlite"), ""}; }

 private:
  TemporaryFolder folder_;
  int files_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_BACKENDS_LOCAL_H_
