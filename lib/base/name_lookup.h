// A host's addresses without keeping the loop waiting.
#ifndef FASTCONTAINER_LIB_BASE_NAME_LOOKUP_H_
#define FASTCONTAINER_LIB_BASE_NAME_LOOKUP_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

// Numeric addresses are parsed at once. Names are asked for by getaddrinfo() on a thread of their own: it
// blocks, by design of the C library, for as long as a name server is silent.
class NameLookup {
 public:
  // Without ports; at least one.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<Address>> addresses)>;

  // The callback runs once, on the loop, not in here. Error: Unavailable.
  NameLookup(std::string host, Reactor& reactor, Callback callback);
  // The callback does not run afterwards. Does not wait for the thread.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_BASE_NAME_LOOKUP_H_
