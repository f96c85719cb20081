// Host names to addresses without blocking the loop: libpq would look them up itself.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_RESOLVER_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_RESOLVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer::postgresql {

// True for what libpq looks up: neither an address nor the folder of a socket.
bool IsHostName(const std::string& host);

class Lookup {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>> addresses)>;

  // `callback` runs once, on the loop; never after the destructor, which does not wait.
  Lookup(std::string host, Reactor& reactor, Callback callback);
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_RESOLVER_H_
