#include "lib/cmdb/etcd/resolver.h"

#include <netdb.h>

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer::etcd {

struct Resolution::State {
  std::mutex mutex;
  Reactor* reactor;  // null once nobody waits; guarded by mutex
  Callback callback;
  absl::StatusOr<std::vector<Address>> result = absl::UnknownError("");

  static void Finish(const std::shared_ptr<State>& state) {
    const std::lock_guard lock(state->mutex);
    if (state->reactor == nullptr) return;
    state->reactor->Post([weak = std::weak_ptr<State>(state)] {
      const std::shared_ptr<State> held = weak.lock();
      // The loop's thread alone clears it: no lock is held while the callback runs.
      if (held != nullptr && held->reactor != nullptr) held->callback(std::move(held->result));
    });
  }
};

namespace {

absl::StatusOr<std::vector<Address>> LookUp(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("the name \"", endpoint.host, "\" cannot be resolved: ", gai_strerror(error)));
  }
  std::vector<Address> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next)
    addresses.push_back(Address::FromSockaddr(entry->ai_addr).WithPort(endpoint.port));
  freeaddrinfo(found);
  return addresses;
}

}  // namespace

Resolution::Resolution(Reactor& reactor, const Endpoint& endpoint, Callback callback)
    : state_(std::make_shared<State>()) {
  state_->reactor = &reactor;
  state_->callback = std::move(callback);
  if (const absl::StatusOr<Address> numeric = Address::Parse(endpoint.host); numeric.ok()) {
    state_->result = std::vector<Address>{numeric->WithPort(endpoint.port)};
    State::Finish(state_);
    return;
  }
  try {
    std::thread([state = state_, endpoint] {
      state->result = LookUp(endpoint);
      State::Finish(state);
    }).detach();
  } catch (const std::system_error& error) {
    state_->result = absl::UnavailableError(absl::StrCat("no thread to resolve a name: ", error.what()));
    State::Finish(state_);
  }
}

Resolution::~Resolution() {
  const std::lock_guard lock(state_->mutex);
  state_->reactor = nullptr;
}

}  // namespace fastcontainer::etcd
