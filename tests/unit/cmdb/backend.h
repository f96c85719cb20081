// A store that the conformance suite runs against.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_BACKEND_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_BACKEND_H_

#include <string>

#include "absl/status/status.h"
#include "fastcontainer/clock.h"

namespace fastcontainer {

class CmdbBackend {
 public:
  struct Place {
    std::string url;
    std::string prefix;  // of every key that the test uses; empty where the URL names a store of its own
  };

  virtual ~CmdbBackend() = default;
  // Of the tests: letters only.
  virtual std::string name() const = 0;
  // Before the first test: starts the server, which lives as long as this. NotFound: the program is not
  // installed, and the tests are skipped with this text; any other error fails them.
  virtual absl::Status Start() { return absl::OkStatus(); }
  // A place that nobody has used; nothing else changes its store during a test.
  virtual Place Fresh() = 0;
  // The shortest that the store grants as it is asked for.
  virtual Nanos ShortestLease() const { return kSecond; }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_BACKEND_H_
