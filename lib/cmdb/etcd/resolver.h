// Addresses of an endpoint, without keeping the loop waiting.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_RESOLVER_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_RESOLVER_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/reactor.h"
#include "lib/cmdb/etcd/url.h"

namespace fastcontainer::etcd {

// Numeric addresses are parsed at once. Names are asked for by getaddrinfo() on a thread of their own: it
// blocks, by design of the C library, for as long as a name server is silent.
class Resolution {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<Address>>)>;

  // The callback runs on the loop, not in here.
  Resolution(Reactor& reactor, const Endpoint& endpoint, Callback callback);
  // The callback does not run afterwards. Does not wait for the thread.
  ~Resolution();
  Resolution(const Resolution&) = delete;
  Resolution& operator=(const Resolution&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_RESOLVER_H_
